// What the keyboard can do beside what every page can; which keys, app/ui/shortcuts.py says. A key that writes is never taken: those with a
// letter or a sign go with Ctrl (⌘ on a Mac), and Escape stops an answer only where nothing is open or written that it is for.
const ON_MAC = /Mac|iPhone|iPad/.test(navigator.platform);
const DIALOG = '[data-testid="stDialog"]';
const OPEN = `${DIALOG}, [data-testid="stPopoverBody"], [role="listbox"], [role="menu"]`;
const SOURCES = '[class*="st-key-sources-"]';
const WAIT_MS = 10000;
const AGAIN_MS = 100;
const PLACES = {
  composer: '[data-testid="stChatInputTextArea"]',
  new: ".st-key-new-chat button",
  find: ".st-key-find-chats input",
  stop: '[data-testid="stChatInputStopButton"], .st-key-stop-answer button, .st-key-stop-elsewhere button, [class*="st-key-stop-rival-"] button',
  sources: `${SOURCES} button`,
  help: ".st-key-keys button",
};

let hasAsked = false; // by Enter, in the composer

const shown = (selector) => [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());

function isPressed(event, keys) {
  const key = keys[keys.length - 1];
  const [ctrl, other] = ON_MAC ? [event.metaKey, event.ctrlKey] : [event.ctrlKey, event.metaKey];
  if (other || event.altKey || ctrl !== keys.includes("Ctrl")) return false;
  // A sign is where the layout has it, with Shift or without.
  const isSign = key.length === 1 && !/[A-Z]/.test(key);
  if (!isSign && event.shiftKey !== keys.includes("Shift")) return false;
  // In a script without these letters, the place of the key counts.
  return event.key.toUpperCase() === key.toUpperCase() || (event.key > "\x7f" && event.code === `Key${key}`);
}

function isWriting() {
  const at = document.activeElement;
  return Boolean(at?.isContentEditable || (at?.matches("input, textarea") && at.value));
}

function whenShown(selector, then) {
  const found = shown(selector)[0];
  if (found) return then(found);
  const watcher = new MutationObserver(() => {
    const came = shown(selector)[0];
    if (!came) return;
    watcher.disconnect();
    then(came);
  });
  watcher.observe(document.body, { childList: true, subtree: true });
  setTimeout(() => watcher.disconnect(), WAIT_MS);
}

function intoSidebar(selector) {
  shown('[data-testid="stExpandSidebarButton"]')[0]?.click();
  whenShown(selector, (field) => {
    field.focus();
    field.select();
  });
}

// Closes the dialog of this title; says whether any dialog was open.
function inDialog(title) {
  const dialog = shown(DIALOG)[0];
  if (dialog?.querySelector("h2")?.textContent.trim() === title) dialog.querySelector('[aria-label="Close"]')?.click();
  return Boolean(dialog);
}

function listenToKeys({ data, setTriggerValue }) {
  const wish = (what) => setTriggerValue("wish", what);
  const toChat = () => shown(PLACES.composer).length || wish("chat");
  // Each says whether the key was for it.
  const acts = {
    composer: () => (toChat(), whenShown(PLACES.composer, (field) => field.focus()), true),
    new: () => (wish("new"), whenShown(PLACES.composer, (field) => field.focus()), true),
    find: () => (toChat(), intoSidebar(PLACES.find), true),
    stop: () => {
      const button = isWriting() || shown(OPEN).length ? null : shown(PLACES.stop)[0];
      button?.click();
      return Boolean(button);
    },
    sources: () => inDialog("Source") || (shown(SOURCES).at(-1)?.querySelector("button")?.click(), true),
    help: () => inDialog("Keyboard shortcuts") || (wish("help"), true),
  };
  const onKey = (event) => {
    if (event.isComposing || event.repeat) return;
    if (event.key === "Enter" && !event.shiftKey && event.target.closest?.(PLACES.composer)) hasAsked = true;
    const pressed = data.shortcuts.find(({ keys }) => isPressed(event, keys));
    const elsewhere = shown(DIALOG).length && !["sources", "help"].includes(pressed?.act);
    if (!pressed || elsewhere || !acts[pressed.act]()) return;
    event.preventDefault();
    event.stopPropagation();
  };
  document.addEventListener("keydown", onKey, true);

  // Told to those who do not see the list, on what the keys are for.
  let waits = false;
  const tell = () => {
    waits = false;
    for (const { act, keys } of data.shortcuts) {
      const said = keys.join("+").replace("Ctrl", ON_MAC ? "Meta" : "Control");
      for (const element of document.querySelectorAll(PLACES[act])) {
        if (element.getAttribute("aria-keyshortcuts") !== said) element.setAttribute("aria-keyshortcuts", said);
      }
    }
  };
  const watcher = new MutationObserver(() => {
    if (!waits) requestAnimationFrame(tell);
    waits = true;
  });
  watcher.observe(document.body, { childList: true, subtree: true });
  tell();

  // While an answer is given nothing can be written, and the composer loses the keyboard: it gets it back, unless that went elsewhere.
  const app = document.querySelector(".stApp");
  const back = new MutationObserver(() => {
    if (!hasAsked || app.dataset.testScriptState !== "notRunning") return;
    hasAsked = false;
    setTimeout(() => document.activeElement === document.body && shown(PLACES.composer)[0]?.focus(), AGAIN_MS);
  });
  if (app && matchMedia("(hover: hover)").matches) back.observe(app, { attributes: true, attributeFilter: ["data-test-script-state"] });
  return () => {
    document.removeEventListener("keydown", onKey, true);
    watcher.disconnect();
    back.disconnect();
  };
}

