"use strict";
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const samples = all(".sample"), selects = all(".bar select");
  const bar = one(".bar"), find = one("#find"), count = one("#count"), clear = one("#clear");
  const large = one("#large"), stage = one(".stage", large), hint = one(".hint span", large);
  const total = count.textContent;
  const texts = new Map();
  let current = null, pictures = [], picture = 0;

  /* Tag labels keep their size on the screen, however large a picture is shown. */
  const fit = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      if (!contentRect.height) continue;
      const size = Math.min(0.85, Math.max(0.62, contentRect.height / 280));
      const scale = (target.viewBox.baseVal.height / contentRect.height) * size;
      for (const tag of all(".tag", target))
        tag.setAttribute("transform", tag.getAttribute("transform").replace(/scale\(.*\)/, `scale(${scale})`));
    }
  });
  for (const drawing of all("main svg")) fit.observe(drawing);

  /* Filters. */
  const textOf = (sample) => {
    if (!texts.has(sample)) texts.set(sample, sample.textContent.toLowerCase());
    return texts.get(sample);
  };
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = selects.filter((select) => select.selectedIndex > 0);
    let shown = 0;
    for (const sample of samples) {
      const fits = chosen.every((select) => sample.dataset[select.id] === select.value)
        && words.every((word) => textOf(sample).includes(word));
      sample.hidden = !fits;
      shown += fits;
    }
    const filtered = words.length > 0 || chosen.length > 0;
    clear.hidden = !filtered;
    count.textContent = filtered ? `${shown.toLocaleString("en")} of ${total}` : total;
    one("#none").hidden = shown > 0 || !samples.length;
    if (current && current.hidden) mark(null);
  };
  let waiting = 0;
  find.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 90); });
  for (const select of selects) select.addEventListener("change", filter);
  clear.addEventListener("click", () => {
    find.value = "";
    for (const select of selects) select.selectedIndex = 0;
    filter();
  });

  /* Moving from sample to sample. */
  const mark = (sample) => {
    if (current) current.classList.remove("current");
    current = sample;
    if (current) current.classList.add("current");
  };
  const edge = () => (getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0) + 24;
  const onScreen = (sample) => {
    const { top, bottom } = sample.getBoundingClientRect();
    return bottom > edge() && top < innerHeight;
  };
  const move = (step) => {
    const visible = samples.filter((sample) => !sample.hidden);
    if (!visible.length) return;
    let next;
    if (current && onScreen(current)) next = visible[visible.indexOf(current) + step];
    else if (step > 0) next = visible.find((sample) => sample.getBoundingClientRect().bottom > edge() + 40);
    else next = visible.findLast((sample) => sample.getBoundingClientRect().top < edge() - 40);
    if (!next) return;
    mark(next);
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "start" });
  };

  /* Pointing at a turn, a tag or a box shows its boxes and dims the others. */
  let pointed = null;
  const unpoint = () => {
    if (!pointed) return;
    pointed.classList.remove("focus");
    for (const element of all(".on, .pointed", pointed)) element.classList.remove("on", "pointed");
    pointed = null;
  };
  const point = (from) => {
    unpoint();
    const hit = from.closest && from.closest("[data-mark], .image, .turn");
    const sample = hit && hit.closest(".sample, .stage");
    if (!sample) return;
    pointed = sample;
    if (hit.dataset.image !== undefined) {
      for (const figure of all("figure", sample))
        figure.classList.toggle("pointed", figure.dataset.image === hit.dataset.image);
      return;
    }
    const name = hit.dataset.mark === undefined ? "turn" : "mark";
    const on = all(".mark, .chip", sample).filter((element) => element.dataset[name] === hit.dataset[name]);
    if (!on.some((element) => element.matches(".mark"))) return;
    sample.classList.add("focus");
    for (const element of on) if (name === "mark" || element.matches(".mark")) element.classList.add("on");
  };
  document.addEventListener("pointerover", (event) => point(event.target));
  document.addEventListener("focusin", (event) => { if (event.target.matches(".turn:focus-visible")) point(event.target); });

  /* Boxes on and off. */
  const boxes = () => {
    const plain = document.body.classList.toggle("plain");
    one("#boxes").setAttribute("aria-pressed", String(!plain));
  };
  one("#boxes").addEventListener("click", boxes);

  /* One picture, large. */
  const enlarge = (index) => {
    picture = (index + pictures.length) % pictures.length;
    unpoint();
    const figure = pictures[picture].cloneNode(true);
    stage.replaceChildren(figure);
    for (const drawing of all("svg", figure)) fit.observe(drawing);
    hint.textContent = `${picture + 1} of ${pictures.length}`;
    for (const button of all("[data-step]:not([data-step='0'])", large)) button.hidden = pictures.length < 2;
    if (!large.open) large.showModal();
  };
  const open = (figure) => {
    const sample = figure.closest(".sample");
    mark(sample);
    pictures = all("figure", sample);
    enlarge(pictures.indexOf(figure));
  };
  document.addEventListener("click", (event) => {
    const frame = event.target.closest("a.frame");
    if (!frame || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (!frame.closest("dialog")) open(frame.closest("figure"));
  });
  large.addEventListener("click", (event) => {
    const button = event.target.closest("[data-step]");
    if (button && button.dataset.step !== "0") enlarge(picture + Number(button.dataset.step));
    else if (button || event.target === stage) large.close();
  });
  large.addEventListener("close", () => stage.replaceChildren());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "b") boxes();
    else if (large.open) {
      if (event.key === "ArrowLeft" || event.key === "k") enlarge(picture - 1);
      else if (event.key === "ArrowRight" || event.key === "j") enlarge(picture + 1);
      else return;
      event.preventDefault();
    }
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "/") { event.preventDefault(); find.focus(); find.select(); }
    else if (event.key === "Enter" && event.target === current) {
      const figure = one("figure", current);
      if (figure) open(figure);
    }
  });

  bar.hidden = one(".keys").hidden = false;
  /* A reload may bring back what was typed or chosen. */
  filter();
})();
