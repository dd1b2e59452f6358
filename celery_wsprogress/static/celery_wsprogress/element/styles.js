/**
 * The style of `<celery-progress>`, as the text of a sheet.
 *
 * The colours follow the page's `color-scheme`; each can be set as a custom property, and
 * everything else by its part. Names that begin with `--_` are private, so that they do not hide
 * variables of the page.
 */

/** Each for light pages and for dark pages. */
const COLOURS = {
  accent: ["#2563eb", "#60a5fa"],
  "accent-end": ["#0ea5e9", "#38bdf8"],
  track: ["#e5e9f0", "#2b3340"],
  text: ["#111827", "#e8ecf3"],
  muted: ["#566072", "#9aa6b8"],
  success: ["#15803d", "#4ade80"],
  failure: ["#b91c1c", "#f87171"],
  warning: ["#a15c07", "#fbbf24"],
};

/**
 * Return the colours as custom properties.
 *
 * @param {(light: string, dark: string) => string} put
 */
function colours(put) {
  const all = Object.entries(COLOURS);
  return all.map(([name, [light, dark]]) => `--_${name}: var(--celery-${name}, ${put(light, dark)});`);
}

export const STYLES = `
:host { ${colours((light) => light).join(" ")} }
@supports (color: light-dark(red, red)) {
  :host { ${colours((light, dark) => `light-dark(${light}, ${dark})`).join(" ")} }
}
:host {
  --_height: var(--celery-height, 0.5rem);
  --_radius: var(--celery-radius, 1rem);
  display: block;
  min-inline-size: 8rem;
  font: var(--celery-font, 0.875rem/1.45 system-ui, sans-serif);
  color: var(--_text);
  overflow-wrap: anywhere;
}
:host([hidden]), [hidden] { display: none !important; }
[part=head], [part=foot] {
  display: flex; gap: 0 1rem; align-items: baseline; justify-content: space-between;
}
[part=head], [part=foot] { flex-wrap: wrap; }
[part=head] { justify-content: end; }
[part=message] { flex: 1 1 35%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
:host(:not([state])) [part=message] { white-space: normal; }
[part=status], [part=figures] { text-align: end; }
[part=figures] { margin-inline-start: auto; }
[part=label], [part=message], [part=error], [part=result], [part=stream] { unicode-bidi: plaintext; }
:host(:dir(rtl)) :is([part=message], [part=error], [part=result], [part=stream]) { text-align: right; }
[part=label] { font-weight: 600; flex: 1 1 auto; }
[part=toggle]:not([hidden]) + [part=label] { max-inline-size: calc(100% - 1.75em); }
[part=toggle] {
  all: unset; box-sizing: border-box; inline-size: 1.4em; margin-inline: -0.2em -0.75rem;
  border-radius: 0.3em; color: var(--_muted); text-align: center; cursor: pointer;
}
[part=toggle]:hover { color: var(--_text); background: var(--_track); }
[part=toggle]:focus-visible { outline: 2px solid var(--_accent); }
[part=status] {
  color: var(--_tone); font-size: 0.8125rem; font-weight: 500; overflow-wrap: break-word;
}
[part=status]::before {
  content: ""; display: inline-block; inline-size: 0.5em; block-size: 0.5em; border-radius: 50%;
  margin-inline-end: 0.45em; background: currentColor; vertical-align: 0.08em;
}
[part=cancel] {
  font: inherit; font-size: 0.8125rem; color: inherit; background: none; cursor: pointer;
  padding: 0 0.6em; border: 1px solid var(--_muted); border-radius: 0.4em;
}
[part=cancel]:disabled { color: var(--_muted); border-color: var(--_track); cursor: default; }
[part=bar] {
  position: relative; overflow: hidden; block-size: var(--_height); margin-block: 0.4rem;
  border-radius: var(--_radius); background: var(--_track);
}
[part=fill] {
  block-size: 100%; inline-size: 0; border-radius: inherit; background: var(--_paint);
  transition: inline-size 0.3s ease-out, background-color 0.3s;
}
[part=bar][data-phases] { background: none; }
[part=bar][data-phases] [part=fill] { visibility: hidden; }
[part=phases] { display: flex; gap: 2px; position: absolute; inset: 0; }
[part=phase] { flex: 1 1 0; background: var(--_track); }
[part=phase-fill] { block-size: 100%; background: var(--_paint); transition: inline-size 0.3s ease-out; }
[part=phase][data-state=error] > * { background: var(--_failure); }
[part=foot] { color: var(--_muted); font-size: 0.8125rem; min-block-size: 1.45em; }
[part=figures] { font-variant-numeric: tabular-nums; }
[part=error] { color: var(--_tone); font-size: 0.8125rem; white-space: pre-wrap; }
[part=stream] { white-space: pre-wrap; }
[part=result] { color: var(--_muted); font-size: 0.8125rem; white-space: pre-wrap; }
[part=live] {
  position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
:host { --_tone: var(--_accent); --_paint: linear-gradient(90deg, var(--_accent), var(--_accent-end)); }
:host(:dir(rtl)) { --_paint: linear-gradient(270deg, var(--_accent), var(--_accent-end)); }
:host(:is([state=queued], [state=scheduled], [state=received], :not([state]))) {
  --_tone: var(--_muted);
}
:host([state=retrying]), :host([state=cancelled]), :host([status=stalled]),
:host([status=cancelling]) {
  --_tone: var(--_warning); --_paint: var(--_warning);
}
:host([state=completed]) { --_tone: var(--_success); --_paint: var(--_success); }
:host([state=error]) { --_tone: var(--_failure); --_paint: var(--_failure); }
:host([connection]) { --_tone: var(--_warning); }
:host([indeterminate]) [part=fill] {
  position: absolute; inline-size: 35%; transition: none;
  animation: slide 1.4s ease-in-out infinite;
}
@keyframes slide { from { inset-inline-start: -35%; } to { inset-inline-start: 100%; } }
@media (prefers-reduced-motion: reduce) {
  [part=fill], [part=phase-fill] { transition: none; }
  :host([indeterminate]) [part=fill] {
    inline-size: 100%; animation: none;
    background: repeating-linear-gradient(
      45deg, var(--_accent) 0 0.5rem, var(--_track) 0.5rem 1rem
    );
  }
}
@media (forced-colors: active) {
  [part=bar] { border: 1px solid CanvasText; }
  [part=fill], [part=phase-fill] { background: Highlight; forced-color-adjust: none; }
}
`;
