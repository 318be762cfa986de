// Brings the parts marked data-live up to date. Without it the page reloads by itself.
"use strict";

const FIRST_SECONDS = 5;

function isInUse(part) {
  return part.contains(document.activeElement) || part.querySelector("details[open]") !== null;
}

function replaceLiveParts(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (newer && newer.innerHTML !== part.innerHTML && !isInUse(part)) {
      part.replaceWith(document.adoptNode(newer));
    }
  }
  document.title = fresh.title;
}

async function refresh() {
  const lost = document.getElementById("lost");
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    if (answer.redirected) {
      location.reload(); // signed out meanwhile
      return;
    }
    lost.hidden = answer.ok;
    if (answer.ok) {
      replaceLiveParts(new DOMParser().parseFromString(await answer.text(), "text/html"));
    }
  } catch {
    lost.hidden = false;
  }
  schedule();
}

function schedule() {
  const seconds = Number(document.getElementById("headline")?.dataset.seconds) || FIRST_SECONDS;
  setTimeout(() => (document.hidden ? schedule() : refresh()), seconds * 1000);
}

schedule();
