// Keeps a page live: takes the new content from a stream and changes only what differs, so that neither focus
// nor place nor what is being typed is lost. Without it every page works by loading it again.
"use strict";

const main = document.getElementById("main");
const sign = document.getElementById("live");

// Make `old` equal to `wanted`. Children with data-key are known by it, others by their place.
function morph(old, wanted) {
  if (old.nodeType !== wanted.nodeType || old.nodeName !== wanted.nodeName) {
    old.replaceWith(wanted);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== wanted.nodeValue) old.nodeValue = wanted.nodeValue;
    return;
  }
  // What is shown of a moment counts on by itself.
  if (old.matches("time") && old.dateTime === wanted.dateTime) return;
  for (const { name } of [...old.attributes]) if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.matches("input, select, textarea")) return;
  children(old, wanted);
}

function children(old, wanted) {
  const keyed = new Map();
  for (const child of old.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let at = old.firstChild;
  for (const child of [...wanted.childNodes]) {
    const key = child.dataset?.key;
    const known = key ? keyed.get(key) : at && !at.dataset?.key ? at : null;
    if (known) {
      if (known !== at) old.insertBefore(known, at);
      else at = at.nextSibling;
      const before = key ? known.textContent : "";
      const next = known.nextSibling;
      morph(known, child);
      if (key) {
        keyed.delete(key);
        if (known.textContent !== before) flash(known);
      }
      at = next;
    } else {
      old.insertBefore(child, at);
      if (key) flash(child);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function flash(element) {
  element.classList.remove("fresh");
  void element.offsetWidth;
  element.classList.add("fresh");
}

// Ages are counted here: the server sends moments, so that a page changes only when something did.
const spans = [[90, 1, "s"], [5400, 60, "min"], [129600, 3600, "h"], [Infinity, 86400, "days"]];
function ages() {
  for (const element of main.querySelectorAll("time[datetime]")) {
    element.title ||= element.textContent;
    const passed = (Date.now() - Date.parse(element.dateTime)) / 1000;
    if (Number.isNaN(passed)) continue;
    const [, unit, word] = spans.find(([most]) => Math.abs(passed) < most);
    const span = `${Math.floor(Math.abs(passed) / unit)} ${word}`;
    // Clocks differ by some seconds.
    const text = passed < -10 ? `in ${span}` : passed < 0 ? "just now" : `${span} ago`;
    if (element.textContent !== text) element.textContent = text;
  }
}

function follow() {
  const place = main.dataset.live;
  if (!place || !window.EventSource) return;
  const url = new URL(place, location.href);
  url.searchParams.set("since", main.dataset.digest);
  const stream = new EventSource(url);
  const tell = (word, lost) => {
    sign.hidden = false;
    sign.textContent = word;
    sign.classList.toggle("lost", lost);
  };
  stream.addEventListener("open", () => tell("live", false));
  stream.addEventListener("page", (event) => {
    const made = document.createElement("main");
    made.innerHTML = event.data;
    children(main, made);
    ages();
  });
  stream.addEventListener("reload", () => {
    stream.close();
    location.reload();
  });
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) {
      tell("reconnecting", true);
      return;
    }
    // Refused, such as by a console that is full, or after a log-out: a browser does not come again by itself.
    tell("not live", true);
    setTimeout(follow, 30000);
  });
  addEventListener("pagehide", () => stream.close(), { once: true });
}

addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
if (main) {
  ages();
  setInterval(ages, 1000);
  follow();
}
