// Tells the page what was clicked: a citation chip, which lies in HTML and so cannot speak to Python itself, and
// the composer's stop button, which halts the script without letting it draw what became of the answer.
export default function (component) {
  const { setTriggerValue } = component;
  const onClick = (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const chip = target?.closest("[data-ob-cite]");
    if (chip) {
      event.preventDefault();
      setTriggerValue("cite", `${chip.getAttribute("data-ob-cite")}`);
    } else if (target?.closest('[data-testid="stChatInputStopButton"]')) {
      // After the stop has gone out; it would otherwise swallow this.
      setTimeout(() => setTriggerValue("stopped", String(Date.now())), 150);
    }
  };
  document.addEventListener("click", onClick);
  return () => document.removeEventListener("click", onClick);
}
