// Copies an answer, and tells the page what it cannot know by itself: which citation chip was clicked (chips lie in HTML,
// which cannot speak to Python), that the composer's stop button was pressed (it halts the script without letting
// it draw what became of the answer), that another theme was chosen, and what a key is for (keys.js, which comes before this, as do scroll.js and draft.js).
// Its data are the list of keys and the id of who is signed in, so nothing untrusted.
const SAID_MS = 1500;
// Where the list beside the page lies over it; whoever has chosen from it wants to see what it lay over.
const OVER = matchMedia("(max-width: 768px)");
const CHOSEN =
  '.st-key-new-chat button, :is(.st-key-history, .st-key-shared-history) .stButton button, [data-testid="stSidebarNavLink"]';
// What asks the server for something when it is pressed. That it was pressed is shown at once (style.css), not when the server has begun.
const ASKS =
  ':is(.stButton, .stFormSubmitButton) button, [role="menuitem"], [role="option"], [role="radio"], [data-ob-cite], [data-testid="stFeedback"] button, ' +
  '[data-testid="stChatInputSubmitButton"], [data-testid="stSidebarNavLink"]';
const ASKED_MS = 1000;
// What gives an answer at the end of the conversation, which is to be seen then, and what opens another.
const ANSWERED =
  '[data-testid="stChatInputSubmitButton"], [data-testid="stChatMessage"] .stFormSubmitButton button, .st-key-ask-again button, ' +
  ':is([class*="st-key-follow-up-"], [class*="st-key-compare-"]) button';
const UNFOLDS = 'summary, [class*="st-key-steps-"] button';
const SENT = '[data-testid="stChatInputSubmitButton"], .ob-person a'; // or whoever wrote it signs out
const AGAIN = '[class*="st-key-again-"] button';
const OPENED = '.st-key-history .stButton button, [data-testid="stSidebarNavLink"]';
let wasPutAway = false;
let menuIsAgain = false; // the one that is open; its entries hang beside the page

function putListAway() {
  if (OVER.matches) document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click();
}

function showAsked() {
  const app = document.querySelector(".stApp");
  if (!app) return;
  app.dataset.obAsked = "";
  setTimeout(() => delete app.dataset.obAsked, ASKED_MS); // the server has begun by then, or had nothing to do
}

async function copy(button) {
  const answer = button.closest('[data-testid="stChatMessage"]')?.querySelector(".ob-answer");
  if (!answer) return;
  const plain = answer.cloneNode(true);
  plain.querySelectorAll(".ob-verdict, .ob-caret").forEach((mark) => mark.remove());
  plain.querySelectorAll(".ob-chip").forEach((chip) => chip.replaceWith(`[${chip.textContent}]`));
  plain.className = "ob-copied"; // outside of the page text has no lines, so it is put there unseen
  document.body.append(plain);
  const text = plain.innerText.trim();
  let done = false;
  if (navigator.clipboard) {
    done = await navigator.clipboard.writeText(text).then(() => true, () => false);
  } else {
    // Where the page does not come over HTTPS or from this machine, browsers have only the old way.
    const before = document.activeElement;
    const range = document.createRange();
    range.selectNodeContents(plain);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    done = document.execCommand("copy");
    getSelection().removeAllRanges();
    before?.focus?.();
  }
  plain.remove();
  button.textContent = done ? "Copied" : "Your browser does not let the page copy";
  setTimeout(() => (button.textContent = "Copy"), SAID_MS);
}

export default function (component) {
  const { setTriggerValue } = component;
  const forgetKeys = listenToKeys(component);
  const end = followTheEnd();
  const draft = keepDraft(component.data.person);
  const onClick = (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (target?.closest(ASKS)) showAsked();
    if (target?.closest(ANSWERED) || (menuIsAgain && target?.closest('[role="menuitem"], [role="option"]'))) end.asks();
    else if (target?.closest(OPENED)) end.opens();
    else if (target?.closest(UNFOLDS)) end.stays();
    if (target?.closest(SENT)) draft.isAsked();
    menuIsAgain = Boolean(target?.closest(AGAIN));
    const chip = target?.closest("[data-ob-cite]");
    if (chip) {
      event.preventDefault();
      setTriggerValue("cite", chip.getAttribute("data-ob-cite"));
    } else if (target?.closest(CHOSEN)) {
      setTimeout(putListAway); // after the choice has gone out
    } else if (target?.closest("[data-ob-copy]")) {
      event.preventDefault();
      copy(target.closest("[data-ob-copy]"));
    } else if (target?.closest('[data-testid="stChatInputStopButton"]')) {
      // After the stop has gone out; it would otherwise swallow this.
      setTimeout(() => setTriggerValue("stopped", String(Date.now())), 150);
    }
  };
  const onEnter = (event) => {
    // An Enter that ends the composing of a word (Japanese, Chinese, Korean) asks nothing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches?.("input, textarea")) return;
    showAsked();
    if (!event.target.closest('[data-testid="stChatInput"]') || !event.target.value.trim()) return;
    end.asks();
    draft.isAsked();
  };
  document.addEventListener("keydown", onEnter, true);
  document.addEventListener("click", onClick, true); // before the button is redrawn as another
  // Streamlit remembers that it was open, and opens a page with it over everything.
  if (!wasPutAway) putListAway();
  wasPutAway = true;

  // Dialogs and menus hang beside the page in the document, so the whole document takes the page's scheme.
  const app = document.querySelector(".stApp");
  const root = document.documentElement;
  const follow = () => {
    const scheme = app ? getComputedStyle(app).colorScheme : "";
    if (!scheme || scheme === root.style.colorScheme) return;
    const changed = root.style.colorScheme !== "";
    root.style.colorScheme = scheme;
    if (changed) setTriggerValue("theme", scheme);
  };
  follow();
  const watcher = new MutationObserver(() => requestAnimationFrame(follow));
  if (app) watcher.observe(app, { attributes: true, attributeFilter: ["class", "style"] });

  return () => {
    document.removeEventListener("keydown", onEnter, true);
    document.removeEventListener("click", onClick, true);
    watcher.disconnect();
    end.forget();
    draft.forget();
    forgetKeys();
  };
}
