// What was written and not asked yet is still there after a visit to another page, and after a reload: in this tab alone.
const DRAFT = "openbook-draft";

function keepDraft() {
  let known = null; // the field, which each visit to another page makes anew
  const restore = () => {
    const field = document.querySelector(PLACES.composer);
    if (field === known) return;
    known = field;
    const draft = sessionStorage.getItem(DRAFT);
    if (!field || field.value || !draft) return;
    // React knows of a value only what it is told as if it were written.
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(field, draft);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const onInput = (event) => {
    if (!event.target.matches?.(PLACES.composer)) return;
    if (event.target.value) sessionStorage.setItem(DRAFT, event.target.value);
    else sessionStorage.removeItem(DRAFT);
  };
  document.addEventListener("input", onInput, true);
  const watcher = new MutationObserver(restore);
  watcher.observe(document.body, { childList: true, subtree: true });
  restore();
  return {
    isAsked: () => sessionStorage.removeItem(DRAFT),
    forget: () => {
      document.removeEventListener("input", onInput, true);
      watcher.disconnect();
    },
  };
}

