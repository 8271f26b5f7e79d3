"""Report: a run on one page of HTML that needs no network and no other file."""
