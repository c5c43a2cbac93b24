// Sends forms as JSON, and opens Airflow's and vendors' pages from inside Airflow's frame, which allows neither itself.
"use strict";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-json]")) return;
  event.preventDefault();
  const button = form.querySelector("button"), says = form.querySelector("output");
  button.disabled = true;
  says.textContent = "…";
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
    });
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) {
      sessionStorage.setItem("psflow.said", said.says || "done");
      location.reload();
      return;
    }
    says.textContent = typeof said.detail === "string" ? said.detail : "refused (" + answer.status + ")";
  } catch {
    says.textContent = "no answer: try again";
  }
  says.className = "late";
  button.disabled = false;
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-airflow], a[data-vendor]");
  if (!link || window.parent === window || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const outer = window.parent.document.createElement("a");
  outer.href = link.href;
  if (link.matches("[data-vendor]")) {
    outer.target = "_blank";
    outer.rel = "noreferrer noopener";
  }
  window.parent.document.body.append(outer);
  outer.click();
  outer.remove();
});

const said = sessionStorage.getItem("psflow.said");
if (said) {
  sessionStorage.removeItem("psflow.said");
  const note = document.createElement("p");
  note.className = "note";
  note.setAttribute("role", "status");
  note.textContent = "Done: " + said + ".";
  document.querySelector("h1")?.after(note);
}
