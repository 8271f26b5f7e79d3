// A picture of the page fills the window at a click, or at Enter; at another, or Esc, it is gone.
const PICTURE = ".md-content article img";

const large = document.createElement("dialog");
large.className = "large-picture";
large.addEventListener("click", () => large.close());
document.body.append(large);

function show(picture) {
  const copy = picture.cloneNode();
  for (const name of ["width", "height", "style", "tabindex"]) copy.removeAttribute(name);
  large.replaceChildren(copy);
  large.showModal();
}

document.addEventListener("click", (event) => {
  const picture = event.target.closest(PICTURE);
  if (picture && !picture.closest("a")) show(picture);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches(PICTURE)) show(event.target);
});
// each page that is gone to, without a new one being loaded
document$.subscribe(() => {
  for (const picture of document.querySelectorAll(PICTURE)) picture.tabIndex = 0;
});
