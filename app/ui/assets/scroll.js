// Follows the end of a conversation: it opens there, and stays there while an answer grows, until the reader goes up to read; from the
// end on it is followed again. Why not as Streamlit does it: docs/decisions/0315.
const END_PX = 4; // so near is at the end: browsers round
const BY_HAND_MS = 1000; // as long as going up counts as the reader's doing; the browser goes up by itself where a page gets shorter
const UP_KEYS = ["ArrowUp", "PageUp", "Home", "Tab", " "];

function followTheEnd() {
  const main = document.querySelector("#stMain");
  let follows = true;
  let isHeld = false; // by a finger
  let lastTouched = -Infinity; // by wheel, finger, mouse or key
  let was = 0;
  if (!main) return { opens: () => {}, asks: () => {}, stays: () => {}, forget: () => {} };

  // The page where one begins has a composer, too, and is read from its top.
  const isConversation = () =>
    ["stChatInput", "stChatMessage"].every((part) => document.querySelector(`[data-testid="${part}"]`));
  const pull = () => {
    if (follows && !isHeld && isConversation()) main.scrollTop = main.scrollHeight;
  };
  const onScroll = () => {
    const isAtEnd = main.scrollHeight - main.clientHeight - main.scrollTop <= END_PX;
    if (isAtEnd) follows = true;
    else if (main.scrollTop < was && performance.now() - lastTouched < BY_HAND_MS) follows = false;
    was = main.scrollTop;
  };
  const onWheel = (event) => {
    lastTouched = performance.now();
    if (event.deltaY < 0 && main.scrollTop > 0) follows = false;
  };
  const onTouch = (event) => {
    lastTouched = performance.now();
    isHeld = event.touches.length > 0;
  };
  const onPress = (event) => {
    if (event.type !== "keydown" || UP_KEYS.includes(event.key)) lastTouched = performance.now();
  };
  const listened = [
    [main, "scroll", onScroll],
    [main, "wheel", onWheel],
    ...["touchstart", "touchmove", "touchend", "touchcancel"].map((name) => [main, name, onTouch]),
    [main, "pointerdown", onPress],
    [document, "keydown", onPress],
  ];
  for (const [where, name, act] of listened) where.addEventListener(name, act, { passive: true, capture: where === document });

  const sizes = new ResizeObserver(pull);
  const measure = () => [...main.children].forEach((part) => sizes.observe(part));
  const parts = new MutationObserver(measure); // the composer is not on every page
  parts.observe(main, { childList: true });
  sizes.observe(main); // a screen that is turned
  measure();

  return {
    // Another conversation is opened: as soon as it is there.
    opens: () => ((follows = true), (lastTouched = -Infinity)),
    // Something is asked, which changes the end of this one.
    asks: () => ((follows = true), (lastTouched = -Infinity), pull()),
    // What is opened at the end is read from its beginning.
    stays: () => (follows = false),
    forget: () => {
      for (const [where, name, act] of listened) where.removeEventListener(name, act, { capture: where === document });
      sizes.disconnect();
      parts.disconnect();
    },
  };
}

