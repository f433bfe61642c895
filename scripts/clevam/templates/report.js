// The player: the source's video leads, all others that are shown follow it.
(() => {
  const $ = (id) => document.getElementById(id);
  const all = (query, within = document) => [...within.querySelectorAll(query)];
  const data = JSON.parse($("data").textContent);
  const media = JSON.parse($("media").textContent);
  const { times, edits, keyframes } = data;
  const last = times.length - 1;
  const gap = (frame) => times[Math.min(frame, last - 1) + 1] - times[Math.min(frame, last - 1)] || 0.04;
  const aspect = data.size[0] / data.size[1];
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  const player = $("player"), stage = $("stage"), screen = $("screen"), lead = $("source");
  const panes = all(".pane.edit"), layers = all(".overlay");
  const state = { frame: 0, edit: 0, view: "split", playing: false, backwards: null, rate: 1, loop: true };

  // ---- videos -------------------------------------------------------------------------------------------------------

  const addresses = {};
  function address(name) {
    if (!addresses[name]) {
      const bytes = Uint8Array.from(atob(media[name]), (letter) => letter.charCodeAt(0));
      addresses[name] = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    }
    return addresses[name];
  }

  function load(video, name) {
    if (video.dataset.media !== name) {
      video.dataset.media = name;
      video.src = address(name);
    }
  }

  function shown() {
    const chosen = state.view === "all" ? panes : [panes[state.edit]];
    const edited = state.view === "source" ? [] : chosen.map((pane) => pane.querySelector("video"));
    return [lead, ...edited, ...layers.filter((layer) => !layer.hidden)];
  }

  // ---- time ---------------------------------------------------------------------------------------------------------

  function frameAt(time) {
    let low = 0, high = last;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (times[middle] <= time + 1e-4) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  const heard = (video, event) => new Promise((done) => video.addEventListener(event, done, { once: true }));

  // The middle of a frame: its edges are rounded differently by every player.
  async function put(video, frame) {
    if (video.readyState < HTMLMediaElement.HAVE_METADATA) await heard(video, "loadedmetadata");
    const time = times[frame] + gap(frame) / 2;
    if (Math.abs(video.currentTime - time) < 1e-4 && !video.seeking) return;
    const arrived = heard(video, "seeked");
    video.currentTime = time;
    await arrived;
  }

  // One seek at a time, of all that is shown: while it lasts, only the last one that was asked for is remembered.
  let asked = 0, done = 0, moving = null;
  function seek(frame) {
    state.frame = clamp(Math.round(frame), 0, last);
    asked += 1;
    delete player.dataset.settled;
    show();
    moving ??= (async () => {
      while (done !== asked) {
        const now = asked;
        await Promise.all(shown().map((video) => put(video, state.frame)));
        done = now;
      }
      moving = null;
      if (!state.playing) player.dataset.settled = state.frame;
    })();
    return moving;
  }

  const refresh = () => seek(state.frame);

  // turn: one more each time that playing begins or ends, so that what began before is given up.
  let turn = 0;
  async function start(frame) {
    const mine = (turn += 1);
    await seek(frame);
    if (mine !== turn) return;
    for (const video of shown()) video.playbackRate = state.rate;
    await Promise.all(shown().map((video) => video.play().catch(() => {})));
    follow(mine);
  }

  function still() {
    turn += 1;
    for (const video of [lead, ...panes.map((pane) => pane.querySelector("video")), ...layers]) {
      video.pause();
      video.playbackRate = 1;
    }
  }

  function play() {
    stopBackwards();
    if (state.playing) return;
    state.playing = true;
    start(state.frame < last ? state.frame : 0);
  }

  function pause() {
    stopBackwards();
    if (!state.playing) return;
    state.playing = false;
    still();
    refresh();
  }

  const nextFrame = "requestVideoFrameCallback" in HTMLVideoElement.prototype
    ? (take) => lead.requestVideoFrameCallback((_, told) => take(told.mediaTime))
    : (take) => requestAnimationFrame(() => take(lead.currentTime));

  function follow(mine) {
    nextFrame((time) => {
      if (mine !== turn) return;
      state.frame = frameAt(time);
      show();
      for (const video of shown().slice(1)) {
        const ahead = video.currentTime - lead.currentTime, frame = gap(state.frame);
        if (video.ended || lead.ended || video.seeking) continue;
        if (Math.abs(ahead) > 4 * frame) video.currentTime = lead.currentTime;
        video.playbackRate = Math.abs(ahead) < frame / 4 ? state.rate : state.rate * (1 - clamp(ahead / frame / 3, -0.6, 0.6));
        if (video.paused) video.play().catch(() => {});
      }
      follow(mine);
    });
  }

  lead.addEventListener("ended", () => {
    if (!state.playing) return;
    if (state.loop) {
      still();
      start(0);
    } else {
      pause();
      seek(last);
    }
  });

  function stopBackwards() {
    clearInterval(state.backwards);
    state.backwards = null;
  }

  function backwards() {
    const faster = state.backwards !== null;
    pause();
    setSpeed(faster ? Math.min(2 * state.rate, 2) : state.rate);
    state.backwards = setInterval(() => {
      if (moving) return;
      if (state.frame > 0) seek(state.frame - 1);
      else if (state.loop) seek(last);
      else stopBackwards();
    }, 1000 * gap(state.frame) / state.rate);
  }

  function step(by) {
    pause();
    return seek(state.frame + by);
  }

  function toKeyframe(direction) {
    pause();
    const beyond = keyframes.filter((key) => (key - state.frame) * direction > 0);
    if (beyond.length) seek(direction > 0 ? Math.min(...beyond) : Math.max(...beyond));
  }

  function setSpeed(rate) {
    state.rate = Number(rate);
    $("speed").value = String(state.rate);
    if (state.playing) for (const video of shown()) video.playbackRate = state.rate;
  }

  function changeSpeed(by) {
    const choices = all("option", $("speed")).map((option) => option.value);
    setSpeed(choices[clamp(choices.indexOf($("speed").value) + by, 0, choices.length - 1)]);
  }

  // ---- what is shown ------------------------------------------------------------------------------------------------

  function again(change) {
    stopBackwards();
    still();
    change();
    layout();
    if (state.playing) start(state.frame);
    else refresh();
  }

  const check = (buttons, chosen) => buttons.forEach((b) => b.setAttribute("aria-checked", String(b === chosen)));

  function setView(view) {
    const button = document.querySelector(`[data-view=${view}][role=radio]`);
    if (button) again(() => {
      state.view = stage.dataset.view = view;
      check(all("[role=radio][data-view]"), button);
    });
  }

  function setEdit(number) {
    again(() => {
      state.edit = number;
      check(all("[role=radio][data-edit]"), document.querySelector(`[role=radio][data-edit="${number}"]`));
      for (const sheet of all("[data-sheet]")) sheet.hidden = Number(sheet.dataset.sheet) !== number;
      draw();
    });
  }

  const legends = {
    mask: "where A is", motion: "direction of the source's motion; bright is fast",
    confidence: "unsure to sure: how B is carried from its keyframes", difference: "none to much: source against edit",
  };

  function toggle(name) {
    const layer = layers.find((each) => each.dataset.layer === name);
    again(() => {
      layer.hidden = !layer.hidden;
      document.querySelector(`[data-overlay=${name}]`).setAttribute("aria-pressed", String(!layer.hidden));
      const on = layers.filter((each) => !each.hidden).map((each) => each.dataset.layer);
      screen.classList.toggle("dimmed", on.some((each) => each !== "mask"));
      $("legend").hidden = !on.length;
      $("legend").replaceChildren(...on.map((each) => {
        const entry = document.createElement("span"), colour = document.createElement("i");
        colour.className = each;
        entry.append(colour, legends[each]);
        return entry;
      }));
    });
  }

  // The largest tiles that fit, in as many columns as that takes.
  function layout() {
    const chosen = edits[state.edit];
    load(lead, chosen.media.source);
    panes.forEach((pane, n) => {
      pane.hidden = state.view !== "all" && n !== state.edit;
      if (!pane.hidden) load(pane.querySelector("video"), edits[n].media.edit);
    });
    for (const layer of layers) if (!layer.hidden) load(layer, chosen.media[layer.dataset.layer]);
    const count = { pair: 2, all: panes.length + 1 }[state.view] ?? 1;
    const whole = document.fullscreenElement === player;
    const room = { width: stage.clientWidth, height: whole ? stage.clientHeight : innerHeight * 0.62 };
    const tiles = Array.from({ length: count }, (_, n) => {
      const columns = n + 1, rows = Math.ceil(count / columns);
      return { columns, rows, width: Math.min(room.width / columns, (room.height / rows) * aspect) };
    });
    const best = tiles.reduce((a, b) => (b.width > a.width + 1 ? b : a));
    const width = Math.floor(best.width), height = Math.floor(width / aspect);
    Object.assign(screen.style, {
      width: `${best.columns * width}px`, height: `${best.rows * height}px`,
      gridTemplateColumns: `repeat(${best.columns}, 1fr)`, gridTemplateRows: `repeat(${best.rows}, 1fr)`,
    });
    const at = count > 1 ? panes[state.edit] : screen;
    const [left, top] = at === screen ? [0, 0] : [at.offsetLeft, at.offsetTop];
    for (const layer of layers)
      Object.assign(layer.style, { left: `${left}px`, top: `${top}px`, width: `${at.clientWidth}px`, height: `${at.clientHeight}px` });
  }

  const marks = new Map();
  function show() {
    const { frame } = state, share = `${(100 * (frame + 0.5)) / times.length}%`;
    player.dataset.frame = frame;
    $("frame").textContent = frame;
    $("seconds").textContent = `${times[frame].toFixed(3)} s`;
    $("play").setAttribute("aria-pressed", String(state.playing));
    $("play").setAttribute("aria-label", state.playing ? "Pause" : "Play");
    $("mark").textContent = frame === edits[state.edit].reference ? "reference" : keyframes.includes(frame) ? "keyframe" : "";
    $("tracks").setAttribute("aria-valuenow", frame);
    for (const [line, told] of marks) {
      line.style.left = share;
      told?.(frame);
    }
    for (const card of all(".card")) card.classList.toggle("now", Number(card.dataset.go) === frame);
  }

  // ---- divider ------------------------------------------------------------------------------------------------------

  function divide(percent) {
    const at = clamp(percent, 0, 100);
    screen.style.setProperty("--at", `${at}%`);
    $("divider").setAttribute("aria-valuenow", Math.round(at));
  }

  function dragged(element, moved) {
    const take = (event) => moved(event, element.getBoundingClientRect());
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.target.closest("button")) return;
      element.setPointerCapture(event.pointerId);
      take(event);
    });
    element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && take(event));
  }

  dragged(screen, (event, box) => state.view === "split" && divide((100 * (event.clientX - box.left)) / box.width));
  $("divider").addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -2, ArrowRight: 2, Home: -100, End: 100 }[event.key];
    if (!by) return;
    divide(Number($("divider").getAttribute("aria-valuenow")) + by);
    event.preventDefault();
    event.stopPropagation();
  });

  // ---- tracks and plots ---------------------------------------------------------------------------------------------

  function svg(name, attributes = {}, ...children) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function html(name, className, ...children) {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }

  const canvas = (...children) =>
    svg("svg", { viewBox: `0 0 ${times.length} 100`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...children);
  const tick = (frame, kind, title) =>
    svg("line", { x1: frame + 0.5, x2: frame + 0.5, y1: 0, y2: 100, class: kind }, svg("title", {}, title));

  // Values as lines, from 0 (low) to 100 (high); what is only measured now and then is joined up.
  function runs(values, low, high) {
    const found = [];
    let before = -100;
    values.forEach((value, frame) => {
      if (value === null) return;
      if (frame - before > 8) found.push([]);
      found.at(-1).push([frame + 0.5, 100 - (100 * (value - low)) / (high - low)]);
      before = frame;
    });
    return found;
  }

  const path = (points) => `M${points.map((point) => point.map((n) => n.toFixed(2)).join(" ")).join("L")}`;
  const curve = (points) => svg("path", { d: path(points), class: "curve" });
  const area = (points) => svg("path", { d: `${path(points)}L${points.at(-1)[0]} 100L${points[0][0]} 100Z`, class: "area" });
  const filled = (values, low, high) => canvas(...runs(values, low, high).flatMap((points) => [area(points), curve(points)]));

  function track(title, picture, tall) {
    return html("div", tall ? "track tall" : "track", html("span", "", title), picture);
  }

  function line(host, told) {
    const mark = html("div", "line");
    host.append(mark);
    marks.set(mark, told);
  }

  const extremes = (values) => values.filter((v) => v !== null).reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);

  function drawTracks(edit) {
    const { area: size, confidence } = edit.series;
    const shots = data.shots.map(([first, end]) =>
      svg("rect", { x: first, width: end - first + 1, y: 10, height: 80, class: "shot" }));
    const keys = keyframes.map((key) =>
      key === edit.reference ? tick(key, "key reference", `${key}: reference`) : tick(key, "key", `${key}: keyframe`));
    const doubts = Object.entries(edit.doubtful).map(([frame, why]) => tick(Number(frame), "amber", `${frame}: ${why}`));
    const reds = edit.alarms.filter((alarm) => alarm.frame !== null).map((alarm) => tick(alarm.frame, "red", alarm.text));
    const over = html("div", "over");
    over.id = "over";
    $("tracks").replaceChildren(
      track(data.shots.length > 1 ? "Keyframes, shots" : "Keyframes", canvas(...shots, ...keys)),
      track("Size of A", filled(size, 0, Math.max(extremes(size)[1], 0.01)), true),
      track("Confidence", filled(confidence, 0, 1), true),
      track("Warnings", canvas(...doubts, ...reds)),
      over,
    );
    line(over);
  }

  const PLOTS = ["background_psnr", "warp_error_inside", "warp_error_outside", "confidence", "mask_iou", "warp_ssim", "exactness", "background_ssim", "change", "lpips", "clip_text", "clip_text_region", "clip_frames"];

  function plot(name, edit) {
    if (!edit.series[name]) return null;
    const metric = data.metrics[name], values = edit.series[name], beside = name === "warp_error_inside" ? edit.series.source_warp_error_inside : [];
    let [low, high] = extremes([...values, ...beside]);
    if (low === Infinity) return null;
    const room = (high - low || Math.abs(high) || 1) * 0.08;
    if (metric.limit !== null && metric.limit > low - (high - low) && metric.limit < high + (high - low)) {
      [low, high] = [Math.min(low, metric.limit), Math.max(high, metric.limit)];
    }
    const scale = [low, high].map((value) => value.toFixed(metric.digits));
    [low, high] = [low - room, high + room];
    const picture = canvas(...runs(values, low, high).map(curve));
    picture.prepend(...runs(beside, low, high).map(area));
    if (metric.limit > low && metric.limit < high) {
      const y = 100 - (100 * (metric.limit - low)) / (high - low);
      picture.append(svg("line", { x1: 0, x2: times.length, y1: y, y2: y, class: "limit" }));
    }
    for (const alarm of edit.alarms) if (alarm.metric === name) picture.append(tick(alarm.frame, "red", alarm.text));
    const value = document.createElement("output");
    const frame = html("div", "frame", picture, html("span", "scale top-value", scale[1]), html("span", "scale low-value", scale[0]));
    line(frame, (at) => (value.textContent = values[at] === null ? "–" : `${values[at].toFixed(metric.digits)} ${metric.unit}`));
    const box = html("div", "plot", html("h3", "", metric.title, value), frame);
    box.dataset.plot = name;
    dragged(frame, (event, within) => scrub(event, within));
    return box;
  }

  function draw() {
    marks.clear();
    const edit = edits[state.edit];
    drawTracks(edit);
    $("plots").replaceChildren(...PLOTS.map((name) => plot(name, edit)).filter(Boolean));
    show();
  }

  function scrub(event, box) {
    pause();
    seek(Math.floor((times.length * (event.clientX - box.left)) / box.width));
  }

  dragged($("tracks"), (event) => scrub(event, $("tracks").querySelector("svg").getBoundingClientRect()));

  // ---- buttons and keys ---------------------------------------------------------------------------------------------

  const toggled = () => (state.playing || state.backwards !== null ? pause() : play());
  const loop = () => $("loop").setAttribute("aria-pressed", String((state.loop = !state.loop)));
  const full = () => (document.fullscreenElement ? document.exitFullscreen() : player.requestFullscreen?.());
  const onwards = () => (state.playing ? setSpeed(Math.min(2 * state.rate, 2)) : play());
  const views = ["split", "pair", "source", "edit", "all"];

  const keys = {
    " ": toggled, k: toggled, j: backwards, l: onwards,
    ArrowLeft: (event) => (event.shiftKey ? toKeyframe(-1) : step(-1)),
    ArrowRight: (event) => (event.shiftKey ? toKeyframe(1) : step(1)),
    ArrowUp: () => toKeyframe(-1), ArrowDown: () => toKeyframe(1), ",": () => step(-1), ".": () => step(1),
    Home: () => step(-last), End: () => step(last), "-": () => changeSpeed(-1), "+": () => changeSpeed(1), "=": () => changeSpeed(1),
    m: () => toggle("mask"), o: () => toggle("motion"), c: () => toggle("confidence"), d: () => toggle("difference"),
    e: () => setEdit((state.edit + 1) % edits.length), r: loop, f: full,
    ...Object.fromEntries(views.map((view, n) => [String(n + 1), () => setView(view)])),
  };
  const own = { " ": "button, summary, a", ArrowUp: "select", ArrowDown: "select", ArrowLeft: "select", ArrowRight: "select" };

  document.addEventListener("keydown", (event) => {
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea")) return;
    if (own[event.key] && event.target.matches(own[event.key])) return;
    // Up, down, home and end scroll the page unless the player is being used.
    if (/^(ArrowUp|ArrowDown|Home|End)$/.test(event.key) && !player.contains(event.target)) return;
    event.preventDefault();
    action(event);
  });

  const clicks = {
    play: toggled, back: () => step(-1), forward: () => step(1), previous: () => toKeyframe(-1), next: () => toKeyframe(1), loop, full,
  };
  for (const [id, action] of Object.entries(clicks)) $(id).addEventListener("click", action);
  $("speed").addEventListener("change", (event) => setSpeed(event.target.value));
  for (const button of all("[role=radio][data-view]")) button.addEventListener("click", () => setView(button.dataset.view));
  for (const button of all("[role=radio][data-edit]")) button.addEventListener("click", () => setEdit(Number(button.dataset.edit)));
  for (const button of all("[data-overlay]")) button.addEventListener("click", () => toggle(button.dataset.overlay));
  for (const button of all("[data-go]")) button.addEventListener("click", async () => {
    pause();
    if (button.dataset.edit && Number(button.dataset.edit) !== state.edit) setEdit(Number(button.dataset.edit));
    seek(Number(button.dataset.go));
    player.scrollIntoView({ block: "nearest", behavior: "smooth" });
  });
  // After a click, the space bar plays, and does not press the same button again.
  player.addEventListener("click", (event) => event.detail && event.target.closest("button") && player.focus({ preventScroll: true }));

  new ResizeObserver(layout).observe(stage);
  addEventListener("resize", layout);
  layout();
  divide(edits[0].middle);
  draw();
  refresh();
})();
