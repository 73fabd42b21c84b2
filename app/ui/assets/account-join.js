// A link brings the token behind its #, which no server is sent and no log keeps; here it moves into the form.
if (location.hash.length > 1) {
  document.getElementById("token").value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  document.getElementById("name").focus();
}
