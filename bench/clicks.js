// Watches what one press does to the page: when it was pressed, when anything that a person can see was first other than before, and
// when the page had been drawn. Times are of the page's own clock, taken once a frame (16.7 ms), so a sign is at most that much earlier.
() => {
  const app = document.querySelector(".stApp");
  const visible = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility()).length;
  const SEEN = {
    "dialog": '[data-testid="stDialog"]',
    "list": '[data-testid="stPopoverBody"], [role="listbox"], [role="menu"]',
    "spinner": '[data-testid="stSpinner"], [data-testid="stSkeleton"], .ob-working, [role="progressbar"]',
  };
  const line = () => {
    const style = getComputedStyle(app, "::after");
    return style.display !== "none" && Number(style.opacity) > 0.3;
  };
  // Not the whole body: a hint that follows the mouse is no answer to a press.
  const text = () => [...document.querySelectorAll(".stApp, [data-testid='stDialog']")].map((e) => e.innerText).join("\n");
  const fields = () => [...document.querySelectorAll("[aria-expanded], [aria-checked], [aria-pressed], [aria-selected], details")]
    .map((e) => ["aria-expanded", "aria-checked", "aria-pressed", "aria-selected", "open"].map((a) => e.getAttribute(a)).join()).join(";");
  const look = () => ({ ...Object.fromEntries(Object.entries(SEEN).map(([name, s]) => [name, visible(s)])), field: fields(), text: text() });
  const said = (window.obClicks = { pressed: null, sign: null, kind: null, drawn: null });
  let before = look();
  // Looking costs time of the very page that is watched: only where something was changed since.
  let changed = false;
  const watcher = new MutationObserver(() => (changed = true));
  watcher.observe(document.body, { childList: true, subtree: true, attributes: true, characterData: true });
  const begin = (event) => {
    if (said.pressed !== null) return;
    if (changed) before = look();
    changed = false;
    said.pressed = event.timeStamp;
    requestAnimationFrame(frame);
  };
  const frame = () => {
    const now = performance.now();
    if (said.sign === null) {
      const is = changed && !line() ? look() : before;
      changed = false;
      const kind = line() ? "line" : Object.keys(is).find((name) => is[name] !== before[name]);
      if (kind) Object.assign(said, { sign: now - said.pressed, kind });
    }
    if (app.dataset.testScriptState === "running") said.drawn = null;
    else said.drawn ??= now - said.pressed;
    if (!said.over) requestAnimationFrame(frame);
  };
  addEventListener("pointerdown", begin, { capture: true });
  addEventListener("keydown", begin, { capture: true });
}
