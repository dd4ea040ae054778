// Ticks all letters of the page at once. Everything else works without script.
const all = document.querySelector("#all");
const letters = [...document.querySelectorAll('input[name="letter"]')];
if (all) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const letter of letters) letter.checked = all.checked;
  });
}
