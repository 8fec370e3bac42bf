"use strict";
for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
async function copy(button) {
  const text = button.parentElement.querySelector("pre");
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "copied";
  } catch {
    // A page that was opened from a file may not write to the clipboard: the text is marked, and the person copies it.
    getSelection().selectAllChildren(text);
    button.textContent = "marked";
  }
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}
const find = document.getElementById("find");
find.parentElement.hidden = false;
find.addEventListener("input", () => {
  const wanted = find.value.trim().toLowerCase();
  for (const part of document.querySelectorAll(".searched")) {
    part.classList.toggle("out", wanted !== "" && !part.textContent.toLowerCase().includes(wanted));
  }
});
