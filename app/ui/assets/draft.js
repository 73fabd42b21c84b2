// What was written and not asked yet is still there after a visit to another page, and after a reload: in this tab alone, and to its writer
// alone: a session may end without a word, and somebody else sign in.
const DRAFT = "openbook-draft";

function keepDraft(person) {
  const mine = `${person}\n`; // before the text
  let known = null; // the field, which each visit to another page makes anew
  const restore = () => {
    const field = document.querySelector(PLACES.composer);
    if (field === known) return;
    known = field;
    const draft = sessionStorage.getItem(DRAFT);
    if (!field || field.value || !draft) return;
    if (!draft.startsWith(mine)) return person && sessionStorage.removeItem(DRAFT);
    // React knows of a value only what it is told as if it were written.
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(field, draft.slice(mine.length));
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const onInput = (event) => {
    if (!event.target.matches?.(PLACES.composer)) return;
    if (event.target.value) sessionStorage.setItem(DRAFT, mine + event.target.value);
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

