"use strict";
// The page of duelbench label. Texts come as plain text and as HTML that the server made safe.

const $ = (id) => document.getElementById(id);
const KEYS = { 1: "first", 2: "second", 0: "tie", b: "both_bad", s: "skip" };
const page = () => 0.85 * $("first").clientHeight;
const STEPS = { arrowdown: () => 60, arrowup: () => -60, pagedown: page, " ": page, pageup: () => -page() };
const IDLE_SECONDS = 120; // who looks away that long was not reading

let token = location.hash.slice(1) || sessionStorage.getItem("token") || "";
let annotator = localStorage.getItem("annotator") || "";
let duel = null; // the question that is shown
let since = 0; // when it was shown, by the clock of the page
let hidden = 0; // milliseconds of it while the page was out of sight
let left = null; // when the page went out of sight
let busy = false;
let answered = 0;
let spent = 0;
let grace = 0; // seconds for which the very last answer can still be taken back
let closing = null; // the timer of that
let ending = ""; // how it ended, in a sentence of the server's
let asked = 0; // answers that there are, of everybody

if (location.hash) {
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", "/"); // a token in the address bar is a token in a screenshot
}

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function call(path, body) {
  const options = { headers: { Authorization: "Bearer " + token } };
  if (body) {
    options.method = "POST";
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!response.ok) throw new Refused(response.status, answer.error);
  return answer;
}

function say(text, kind = "") {
  $("message").textContent = text;
  $("message").className = kind;
}

function fill(id, name) {
  const place = $(id);
  const plain = $("plain").getAttribute("aria-pressed") === "true";
  place.classList.toggle("asis", plain);
  if (plain) place.textContent = duel[name];
  else place.innerHTML = duel.html[name];
  for (const part of place.children) part.dir = "auto"; // each paragraph by its own first letter
  for (const part of place.querySelectorAll("pre, table")) {
    if (part.scrollWidth > part.clientWidth) part.tabIndex = 0; // so that a keyboard can scroll it
  }
  place.scrollTop = 0;
}

function fillAll() {
  if (!duel) return;
  fill("prompt", "prompt");
  fill("first", "first");
  fill("second", "second");
}

function count(where) {
  $("bar").max = where.budget;
  $("bar").value = where.asked;
  $("count").textContent = `${where.asked} of ${where.budget}`;
  const pace = answered ? `${(spent / answered).toFixed(1)} s an answer` : "";
  $("pace").textContent = pace;
}

function show(next) {
  duel = next.id ? next : null;
  ending = next.ending || "";
  asked = next.asked;
  count(next);
  $("question").hidden = !duel;
  for (const button of document.querySelectorAll("[data-verdict]")) button.disabled = !duel;
  $("undo").disabled = next.state === "failed";
  clearTimeout(closing);
  for (const side of document.querySelectorAll(".response")) side.classList.remove("chosen");
  $("question").classList.remove("sent");
  if (duel) {
    say("");
    fillAll();
    since = performance.now();
    hidden = 0;
    left = document.hidden ? since : null;
    if (matchMedia("(max-width: 760px)").matches) scrollTo(0, 0);
    return;
  }
  const words = {
    thinking: ["One moment: the model learns from the answers and writes the next questions.", "big thinking"],
    waiting: ["Nothing for you at the moment: the questions that are left lie before others.", "big"],
    done: [parting(`Thank you! For ${grace} seconds you can still undo your last answer.`), "big"],
    failed: ["The run stopped. Every answer is kept; whoever started it sees why in the terminal.", "big wrong"],
  };
  say(...words[next.state]);
  if (next.state === "done") closing = setTimeout(end, 1000 * grace);
}

function parting(thanks) {
  return `${ending} ${asked ? thanks : "You can close this page."}`;
}

function end() {
  $("undo").disabled = true;
  say(parting("Thank you! You can close this page."), "big");
}

let turn = 0; // the latest request for a question: older ones that come back are forgotten

async function ask() {
  const mine = ++turn;
  let wait = 0;
  for (;;) {
    try {
      const next = await call(`/api/next?html&annotator=${encodeURIComponent(annotator)}&wait=${wait}`);
      if (mine !== turn) return;
      show(next);
      if (next.id || next.state === "done" || next.state === "failed") return;
      wait = 20;
    } catch (error) {
      if (mine !== turn) return;
      if (error instanceof Refused) {
        $("question").hidden = true;
        say(error.message, "big wrong");
        return;
      }
      say("No connection to the server. Your answers are kept; trying again.", "wrong");
      await new Promise((done) => setTimeout(done, 1500));
    }
  }
}

function elapsed() {
  const away = hidden + (left === null ? 0 : performance.now() - left);
  return Math.round(performance.now() - since - away) / 1000;
}

async function answer(verdict) {
  if (!duel || busy) return;
  busy = true;
  const seconds = elapsed();
  const button = document.querySelector(`[data-verdict="${verdict}"]`);
  if (verdict === "first" || verdict === "second") $(verdict).parentElement.classList.add("chosen");
  button.disabled = true;
  $("question").classList.add("sent");
  try {
    for (;;) {
      try {
        await call("/api/answer", { id: duel.id, annotator, verdict, seconds });
        if (verdict !== "skip" && seconds < IDLE_SECONDS) {
          answered += 1;
          spent += seconds;
        }
        break;
      } catch (error) {
        if (error instanceof Refused) {
          if (error.status !== 409 && error.status !== 404) throw error;
          break; // it was taken the first time, or somebody else was faster
        }
        say("No connection to the server. Your answer is sent as soon as it is back.", "wrong");
        await new Promise((done) => setTimeout(done, 1500));
      }
    }
    busy = false;
    await ask();
  } catch (error) {
    say(error.message, "wrong");
  } finally {
    busy = false;
  }
}

async function undo() {
  if (busy || !annotator || $("undo").disabled) return;
  busy = true;
  turn += 1; // whatever is on its way is no longer wanted
  try {
    const back = await call("/api/undo?html", { annotator });
    show(back);
    say("Taken back: answer it again.");
  } catch (error) {
    if (!(error instanceof Refused)) say("No connection to the server.", "wrong");
    else if (duel) say(error.message + ".");
    if (!duel) ask();
  } finally {
    busy = false;
  }
}

function toggle(button, attribute) {
  const on = button.getAttribute(attribute) !== "true";
  button.setAttribute(attribute, on);
  return on;
}

function guide(open) {
  $("help").setAttribute("aria-expanded", open);
  $("side").hidden = !open;
  localStorage.setItem("guide", open ? "open" : "closed");
}

function scrollBoth(by) {
  // Whether there was anything to scroll: else the key is the page's.
  const sides = [$("first"), $("second")].filter((side) => side.scrollHeight > side.clientHeight + 1);
  for (const side of sides) side.scrollTop += by;
  return sides.length > 0;
}

function together() {
  // The responses scroll together by share, so that both end at once; whichever moves leads.
  const sides = [$("first"), $("second")];
  let leader = null;
  for (const side of sides) {
    const take = () => (leader = side);
    for (const event of ["wheel", "touchstart", "pointerdown", "keydown", "focus"]) {
      side.addEventListener(event, take, { passive: true });
    }
    side.addEventListener("scroll", () => {
      if (leader !== side) return;
      const other = sides[0] === side ? sides[1] : sides[0];
      const room = side.scrollHeight - side.clientHeight;
      if (room > 0) other.scrollTop = (side.scrollTop / room) * (other.scrollHeight - other.clientHeight);
    });
  }
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
  const key = event.key.toLowerCase();
  if (event.repeat && !(key in STEPS)) return; // a key that is held down answers one question
  if (key === " " && event.target.tagName === "BUTTON") return;
  if (key in KEYS) answer(KEYS[key]);
  else if (key === "u") undo();
  else if (key === "g" || key === "?") guide($("side").hidden);
  else if (key === "p") $("plain").click();
  else if (key in STEPS && !document.activeElement.closest(".text")) {
    if (!scrollBoth(STEPS[key]())) return;
  } else return;
  event.preventDefault();
}

function begin() {
  $("name").hidden = true;
  $("who").textContent = annotator;
  $("who").hidden = false;
  ask();
}

function whoAreYou() {
  turn += 1;
  duel = null;
  $("question").hidden = true;
  for (const button of document.querySelectorAll("#answers button")) button.disabled = true;
  say("");
  $("who").hidden = true;
  $("name").hidden = false;
  $("annotator").value = annotator;
  $("annotator").focus();
}

async function start() {
  together();
  document.addEventListener("keydown", pressed);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) left = performance.now();
    else if (left !== null) {
      hidden += performance.now() - left;
      left = null;
    }
  });
  for (const button of document.querySelectorAll("[data-verdict]")) {
    button.addEventListener("click", () => answer(button.dataset.verdict));
  }
  $("undo").addEventListener("click", undo);
  $("help").addEventListener("click", () => guide($("side").hidden));
  $("who").addEventListener("click", whoAreYou);
  $("plain").addEventListener("click", () => {
    const on = toggle($("plain"), "aria-pressed");
    localStorage.setItem("plain", on);
    fillAll();
  });
  $("name").addEventListener("submit", (event) => {
    event.preventDefault();
    annotator = $("annotator").value.trim();
    if (!annotator) return;
    localStorage.setItem("annotator", annotator);
    begin();
  });
  if (localStorage.getItem("plain") === "true") toggle($("plain"), "aria-pressed");
  try {
    const about = await call("/api/about");
    document.title = about.title;
    $("title").textContent = about.title;
    $("guidelines").innerHTML = about.guidelines;
    grace = about.grace;
    const wide = matchMedia("(min-width: 761px)").matches;
    const chosen = localStorage.getItem("guide");
    guide(wide && (chosen ? chosen === "open" : Boolean(about.guidelines)));
  } catch (error) {
    $("who").hidden = true;
    say(error instanceof Refused ? error.message : "No connection to the server.", "big wrong");
    return;
  }
  if (annotator) begin();
  else whoAreYou();
}

start();
