// The live page: what the WebSocket says becomes text nodes and charts. Names are the work of strangers: nothing here makes markup of text.
"use strict";
(() => {
  // How much of the past the page holds.
  const ROLES = ["visitor", "expert", "ambassador", "arbiter"];
  const BOUNTIES = 40, EVENTS = 200, BLOCKS = 240, LINES = 6;
  // Blocks that are asked for at once by who wants as many as there can be.
  const HURRY = 20;
  // Requests for blocks that wait, at most.
  const CLICKS = 20;
  // Time between two sentences for screen readers, in milliseconds.
  const SAY_EVERY = 5000;

  const get = id => document.getElementById(id);
  const put = (id, text) => { const node = get(id); if (node.textContent !== text) node.textContent = text; };
  const make = (tag, properties = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(properties)) {
      if (key === "class") node.className = value; else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  };
  // Foreign names are isolated, so that none turns the text around it.
  const named = text => make("bdi", {}, text);
  const count = number => Number(number).toLocaleString("en");
  const amount = text => Number(text).toLocaleString("en", { maximumFractionDigits: 4 });
  const signed = text => (Number(text) > 0 ? "+" : "") + amount(text);
  const plural = (number, one, many = one + "s") => `${count(number)} ${number === 1 ? one : many}`;

  const state = { bounties: new Map(), nodes: new Map(), events: [], accounts: [], history: [], about: null, now: null };

  // Charts.
  const root = document.documentElement;
  // Of A4 between its margins and those of the page, in pixels of CSS.
  const PRINTED = 630;
  // Colours and type, as they are now: a token is a pair of colours, and a probe says which of them holds.
  const look = () => {
    const probe = document.body.appendChild(document.createElement("span"));
    const names = ["text", "muted", "line", "line-strong", "raised", ...[1, 2, 3, 4, 5, 6].map(number => `series-${number}`)];
    const colours = Object.fromEntries(names.map(name => { probe.style.color = `var(--${name})`; return [name, getComputedStyle(probe).color]; }));
    probe.remove();
    return { ...colours, font: getComputedStyle(document.body).fontFamily };
  };
  const base = look => ({
    animation: false,
    textStyle: { fontFamily: look.font, color: look.text },
    grid: { left: 8, right: 24, top: 48, bottom: 8, containLabel: true },
    tooltip: {
      trigger: "axis", renderMode: "richText", confine: true, backgroundColor: look.raised, borderColor: look.line,
      textStyle: { color: look.text, fontSize: 12 }, axisPointer: { lineStyle: { color: look["line-strong"] } },
    },
    legend: { show: true, top: 0, left: 0, itemWidth: 30, itemHeight: 8, textStyle: { color: look.text }, inactiveColor: look.muted },
    xAxis: {
      type: "category", axisLine: { lineStyle: { color: look["line-strong"] } }, axisTick: { lineStyle: { color: look.line } },
      axisLabel: { color: look.muted, hideOverlap: true }, data: state.history.map(sample => count(sample.block)),
    },
    yAxis: { type: "value", axisLabel: { color: look.muted }, splitLine: { lineStyle: { color: look.line } } },
  });
  const shorter = text => text.length > 18 ? text.slice(0, 17) + "…" : text;
  const profit = look => {
    const last = state.history.at(-1)?.changes ?? [];
    const weight = ({ account, at }) => Math.abs(last[at] ?? 0) + (account.role === "visitor" ? 1e15 : 0);
    const lines = state.accounts.map((account, at) => ({ account, at })).filter(({ account }) => ROLES.indexOf(account.role) < 2)
      .sort((a, b) => weight(b) - weight(a)).slice(0, LINES);
    // As many names side by side as there is room for; the lines stand below all of them.
    const beside = Math.max(1, Math.floor((printing ? PRINTED : get("profit").clientWidth) / 165));
    const frame = base(look);
    frame.grid.top = 26 + 18 * Math.ceil(lines.length / beside);
    return {
      ...frame,
      series: lines.map(({ account, at }, place) => ({
        type: "line", name: `${place + 1} ${shorter(account.name)}`, showSymbol: false,
        lineStyle: { width: 2, type: ["solid", "dashed", "dotted"][place % 3] },
        color: look[`series-${place + 1}`], data: state.history.map(sample => sample.changes[at] ?? null),
      })),
    };
  };
  const pace = look => ({
    ...base(look),
    series: [
      { type: "bar", name: "bounties", color: look["series-1"], data: state.history.map(sample => sample.bounties) },
      { type: "line", name: "assertions", color: look["series-2"], showSymbol: false, data: state.history.map(sample => sample.assertions) },
    ],
  });
  const charts = [["profit", profit], ["pace", pace]].map(([id, option]) => ({ box: get(id), option, drawn: null }));
  let printing = false;
  const draw = (chart, look) => {
    const size = printing ? { width: PRINTED } : { width: "auto" };
    if (chart.drawn) chart.drawn.resize(size); else chart.drawn = echarts.init(chart.box, null, { renderer: "svg" });
    chart.drawn.setOption(chart.option(look), true);
  };
  const drawAll = () => {
    if (!state.history.length) return;
    const now = look();
    for (const chart of charts) draw(chart, now);
  };
  // From here on, boxes of charts have a size.
  root.dataset.charts = String(charts.length);
  const watcher = new ResizeObserver(boxes => {
    if (!printing && boxes.some(({ target }) => charts.some(({ box, drawn }) => box === target && drawn && drawn.getWidth() !== box.clientWidth))) drawAll();
  });
  for (const { box } of charts) watcher.observe(box);

  // Light or dark, and on paper always light.
  const theme = get("theme");
  const choose = name => { if (name) root.dataset.theme = name; else delete root.dataset.theme; };
  theme.addEventListener("change", () => { choose(theme.value); drawAll(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (!printing) drawAll(); });
  addEventListener("beforeprint", () => { printing = true; choose("light"); drawAll(); });
  addEventListener("afterprint", () => { printing = false; choose(theme.value); drawAll(); });

  // Bounties.
  const ROUNDS = {
    assertion: ["assert", "warn", "expiration"], reveal: ["reveal", "warn", "reveal_end"], vote: ["vote", "warn", "vote_end"],
    quorum: ["settle", "good", null], settle: ["settle", "good", null], closed: ["closed", "", null],
  };
  const VERDICTS = { M: "malicious", B: "benign", "?": "secret" };
  const spoken = verdicts => {
    const said = Object.entries(VERDICTS).map(([letter, word]) => [verdicts.split(letter).length - 1, word]).filter(([times]) => times > 0);
    if (!said.length) return "no opinion";
    return verdicts.length === 1 ? said[0][1] : said.map(([times, word]) => `${times} ${word}`).join(", ");
  };
  const left = card => {
    const [, , end] = ROUNDS[card.round] ?? [];
    const blocks = end ? card[end] - state.now.block : 0;
    return end && blocks > 0 ? `${plural(blocks, "block")} left` : "";
  };
  const artifacts = card => {
    const names = card.artifacts.slice(0, 3).map(artifact => artifact.name).join(", ");
    const more = card.artifact_count - Math.min(3, card.artifacts.length);
    return more > 0 ? `${names}${names ? " " : ""}and ${more} more` : names;
  };
  const list = (title, rows, empty, hidden) => {
    const box = make("div", {}, make("h3", {}, title));
    if (!rows.length) box.append(make("p", { class: "small muted" }, empty));
    else box.append(make("ul", {}, ...rows.map(cells => make("li", {}, ...cells.map(cell => make("span", {}, cell))))));
    if (hidden > 0) box.append(make("p", { class: "small muted" }, `and ${hidden} more`));
    return box;
  };
  const inside = card => [
    make("dl", { class: "facts small" },
      make("dt", {}, "Guid"), make("dd", { class: "code" }, card.guid),
      make("dt", {}, "Posted"), make("dd", {}, `in block ${count(card.posted)} by `, named(card.author)),
      make("dt", {}, "Ends"), make("dd", {}, `assertions ${count(card.expiration)}, reveals ${count(card.reveal_end)}, votes ${count(card.vote_end)}`),
      make("dt", {}, "Paid out"), make("dd", {}, `${amount(card.paid)} NCT in ${plural(card.settlements, "settlement")}`)),
    list("Artifacts", card.artifacts.map(artifact => [named(artifact.name), make("span", { class: "code" }, artifact.hash)]), "They are not named.", card.artifact_count - card.artifacts.length),
    list("Assertions", card.assertions.map(said => [named(said.author), `${amount(said.bid)} NCT`, spoken(said.verdicts)]), "None yet.", card.assertion_count - card.assertions.length),
    list("Votes", card.votes.map(vote => [named(vote.voter), "", spoken(vote.verdicts)]), "None yet.", card.vote_count - card.votes.length),
  ];
  const entry = card => {
    const cells = ["round", "what", "pays", "said", "when"].map(name => make("span", { "data-cell": name }));
    const summary = make("summary", {}, ...cells), more = make("div", { class: "more" }), details = make("details", {}, summary, more);
    // What nobody looks at is not made.
    details.addEventListener("toggle", () => { if (details.open) more.replaceChildren(...inside(state.bounties.get(card.guid))); else more.replaceChildren(); });
    const node = make("li", {}, details);
    return { node, cells, details, more };
  };
  const refresh = (entry, card, changed) => {
    const [round, what, pays, said, when] = entry.cells;
    const [word, tone] = ROUNDS[card.round] ?? [card.round, ""];
    if (round.textContent !== word) round.replaceChildren(make("span", { class: `badge ${tone}` }, word));
    when.textContent = left(card);
    if (!changed) return;
    what.replaceChildren(named(artifacts(card) || plural(card.artifact_count, "artifact")), make("span", { class: "muted" }, ` ${card.guid.slice(0, 8)}`));
    pays.textContent = `pays ${amount(card.amount)} NCT`;
    said.textContent = `${plural(card.assertion_count, "assertion")}, ${amount(card.staked)} NCT`;
    if (entry.details.open) entry.more.replaceChildren(...inside(card));
  };
  const showBounties = (changed, kept) => {
    const box = get("bounties"), keep = new Set(kept.slice(-BOUNTIES));
    for (const [guid, entry] of state.nodes) {
      if (!keep.has(guid)) { entry.node.remove(); state.nodes.delete(guid); state.bounties.delete(guid); }
    }
    for (const card of changed) {
      if (!keep.has(card.guid)) continue;
      state.bounties.set(card.guid, card);
      if (!state.nodes.has(card.guid)) {
        const made = entry(card);
        state.nodes.set(card.guid, made);
        box.prepend(made.node);
      }
    }
    const news = new Set(changed.map(card => card.guid));
    for (const [guid, entry] of state.nodes) refresh(entry, state.bounties.get(guid), news.has(guid));
    get("no-bounties").hidden = state.nodes.size > 0;
    put("bounties-note", `The latest ${BOUNTIES} at most; open one to see who said what.`);
  };

  // Balances.
  const showBalances = more => {
    const body = get("balances");
    const rows = [...state.accounts].sort((a, b) => ROLES.indexOf(a.role) - ROLES.indexOf(b.role) || Number(b.change) - Number(a.change));
    while (body.rows.length > rows.length) body.deleteRow(-1);
    rows.forEach((account, at) => {
      let row = body.rows[at];
      if (!row) {
        row = body.insertRow();
        row.append(make("th", { scope: "row", class: "name" }, named("")), ...[1, 2, 3].map(() => make("td", { class: "number" })));
      }
      row.className = account.role === "visitor" ? "marked" : "";
      const cells = [account.name, signed(account.change), amount(account.staked), amount(account.balance)];
      cells.forEach((text, place) => { const cell = place ? row.cells[place] : row.cells[0].firstChild; if (cell.textContent !== text) cell.textContent = text; });
      row.cells[1].className = `number ${Number(account.change) > 0 ? "good" : Number(account.change) < 0 ? "bad" : ""}`;
    });
    const others = more > 0 ? ` There are ${count(more)} more.` : "";
    put("balances-note", `Visitors come first, then experts. Change: what an account has more than it was given, stakes included.${others}`);
  };

  // Events.
  const showEvents = (news, missed, whole) => {
    const box = get("events");
    if (whole) box.replaceChildren();
    const line = event => make("li", {},
      make("span", { class: "muted" }, count(event.block)), make("span", {}, event.kind),
      make("span", {}, named(event.who), event.who && event.what ? ": " : "", event.what, event.guid ? make("span", { class: "muted" }, ` ${event.guid.slice(0, 8)}`) : ""));
    const lines = news.map(line).reverse();
    if (missed > 0) lines.push(make("li", {}, make("span"), make("span"), make("span", { class: "muted" }, `${plural(missed, "event")} went by too fast for this page`)));
    box.prepend(...lines);
    while (box.childElementCount > EVENTS) box.lastElementChild.remove();
    put("events-note", `The latest first, ${EVENTS} at most; the journal has all.`);
  };

  // What screen readers are told, not too often.
  let saidAt = 0;
  const announce = text => {
    const now = performance.now();
    if (now - saidAt < SAY_EVERY) return;
    saidAt = now;
    put("announcement", text);
  };

  // The clock, where it is ours.
  const run = get("run"), speed = get("speed");
  let timer = null, asked = Promise.resolve(), waiting = 0;
  const trouble = text => { get("trouble").hidden = !text; put("trouble", text); };
  // One after the other, so that no click is lost; but nobody waits for more than a few.
  const mine = blocks => {
    if (waiting >= CLICKS) return asked;
    waiting += 1;
    asked = asked.then(() => post(blocks)).finally(() => { waiting -= 1; });
    return asked;
  };
  const post = async blocks => {
    try {
      const answer = await fetch("/_mock/mine", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ blocks }) });
      const said = await answer.json();
      if (!answer.ok) { stop(); trouble(`No block was mined: ${said.errors}`); } else trouble("");
    } catch {
      stop();
      trouble("No block was mined: the server does not answer.");
    }
  };
  const stop = () => {
    clearTimeout(timer);
    timer = null;
    run.setAttribute("aria-pressed", "false");
    run.textContent = "Run";
  };
  const tick = async () => {
    const begun = performance.now(), rate = Number(speed.value);
    await mine(rate ? 1 : HURRY);
    if (timer === null) return;
    if (state.now?.over) { stop(); return; }
    timer = setTimeout(tick, rate ? Math.max(0, 1000 / rate - (performance.now() - begun)) : 0);
  };
  run.addEventListener("click", () => {
    if (timer !== null) { stop(); return; }
    run.setAttribute("aria-pressed", "true");
    run.textContent = "Pause";
    timer = setTimeout(tick, 0);
  });
  get("step").addEventListener("click", () => mine(1));
  get("leap").addEventListener("click", () => mine(10));
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); });

  const showState = () => {
    const { about, now } = state, { figures } = now;
    const cards = [...state.bounties.values()], open = cards.filter(card => card.round !== "closed");
    put("block", count(now.block));
    put("clock", now.over ? "the corpus is through" : { manual: "manual", lockstep: "lockstep", every: `one every ${about.period_ms} ms` }[about.clock]);
    put("posted", count(figures.bounties));
    put("planned", `of ${count(about.planned)} of the corpus; ${count(now.closed)} are over`);
    put("open", open.length === BOUNTIES ? `${BOUNTIES} or more` : count(open.length));
    const inRound = (name, word) => { const number = cards.filter(card => (ROUNDS[card.round] ?? [])[0] === name).length; return number ? `${number} ${word}` : ""; };
    put("rounds", [inRound("assert", "to assert"), inRound("reveal", "to reveal"), inRound("vote", "to vote"), inRound("settle", "to settle")].filter(Boolean).join(", "));
    put("assertions", count(figures.assertions));
    put("reveals", `${count(figures.reveals)} revealed`);
    put("votes", count(figures.votes));
    put("settlements", plural(figures.settlements, "settlement"));
    put("transactions", count(figures.transactions));
    put("waiting", `${count(now.waiting)} waiting, ${count(figures.failures)} refused; ${plural(now.websockets, "client")} listening`);
    get("controls").hidden = about.clock !== "manual";
    get("timing").hidden = about.clock === "manual";
    put("timing", about.clock === "lockstep"
      ? "A block is mined as soon as every participant has acted or passed. With --block-time manual, time can be stepped and paused here."
      : "Blocks come by themselves. With --block-time manual, time can be stepped and paused here.");
    put("about", `mock-polyswarmd ${about.version}; corpus ${about.corpus}; rules ${about.rules}; seed ${about.seed}`);
    const address = about.port ? `${location.protocol}//${location.hostname}:${about.port}` : location.origin;
    put("address", address);
    put("command", `microengine --new-key key.json\nmicroengine --polyswarmd-addr ${address} --keyfile key.json --backend eicar`);
    announce(`Block ${now.block}: ${plural(open.length, "open bounty", "open bounties")}, ${plural(figures.assertions, "assertion")} so far.`);
    document.title = `${count(now.block)} – mock-polyswarmd`;
  };

  const take = report => {
    state.about = report.about;
    state.now = report.state;
    if (report.whole) {
      state.history = [];
      state.bounties.clear();
      state.nodes.forEach(entry => entry.node.remove());
      state.nodes.clear();
    }
    state.accounts = report.accounts;
    state.history = [...state.history, ...report.history].slice(-BLOCKS);
    showBounties(report.bounties, report.kept);
    showBalances(report.more_accounts);
    showEvents(report.events, report.missed_events, report.whole);
    showState();
    put("pace-note", `The latest ${BLOCKS} blocks at most.`);
    // Once for all that came since it was drawn last.
    if (!drawing) { drawing = true; requestAnimationFrame(() => { drawing = false; if (!printing) drawAll(); }); }
  };
  let drawing = false;

  // The WebSocket; it is opened again, later and later.
  const status = (text, tone) => { const badge = get("connection"); put("connection", text); badge.className = `badge ${tone}`; };
  let wait = 500, again = null;
  const connect = () => {
    clearTimeout(again);
    status("connecting", "warn");
    const socket = new WebSocket(`ws://${location.host}/_mock/live`);
    socket.addEventListener("message", event => {
      wait = 500;
      status("live", "good");
      take(JSON.parse(event.data));
    });
    socket.addEventListener("close", () => {
      stop();
      const seconds = Math.round(wait / 1000 * 10) / 10;
      status(`not connected; trying again in ${seconds} s`, "bad");
      again = setTimeout(connect, wait);
      wait = Math.min(wait * 2, 15000);
    });
  };
  connect();
})();
