/**
 * The style of the steps of `<celery-progress>`, as the text of a sheet. It uses the colours of
 * `styles.js`.
 */

export const STEP_STYLES = `
[part=steps] {
  position: relative; overflow: auto; max-block-size: var(--celery-steps-height, 18rem);
  margin-block-start: 0.35rem; container-type: inline-size; overscroll-behavior: contain;
}
[part=steps-rows] { position: relative; min-block-size: 1px; }
[part=steps-note] { color: var(--_muted); font-size: 0.8125rem; }
[part=step] {
  --_tone: var(--_muted);
  position: absolute; inset-inline: 0; inset-block-start: 0; display: grid; align-items: center;
  grid-template-columns: 1em minmax(0, 1fr) 28cqi 5.5rem;
  gap: 0 0.6rem; block-size: 1.65rem; padding-inline: calc(var(--_level, 0) * 1.1rem + 0.15rem) 0.35rem;
  border-radius: 0.3rem; font-size: 0.8125rem; contain: layout style; cursor: default;
}
[part=step]:hover { background: color-mix(in srgb, var(--_track) 45%, transparent); }
[part=step]:focus-visible { outline: 2px solid var(--_accent); outline-offset: -2px; }
[part=step][aria-expanded] { cursor: pointer; }
[part=step][data-state=running] { --_tone: var(--_accent); }
[part=step][data-state=completed] { --_tone: var(--_success); }
[part=step][data-state=error] { --_tone: var(--_failure); }
[part=step][data-state=cancelled] { --_tone: var(--_warning); }
[part=step-fold] { color: var(--_tone); text-align: center; font-size: 0.75em; }
[part=step-fold]::before { content: "●"; }
[data-state=waiting] > [part=step-fold]::before { content: "○"; }
[data-state=completed] > [part=step-fold]::before { content: "✓"; font-size: 1.2em; font-weight: 700; }
[data-state=error] > [part=step-fold]::before { content: "✕"; font-size: 1.2em; font-weight: 700; }
[data-state=cancelled] > [part=step-fold]::before { content: "⊘"; font-size: 1.2em; }
[data-state=skipped] > [part=step-fold]::before { content: "–"; }
[aria-expanded=false] > [part=step-fold]::before { content: "▸"; font-size: 1.2em; }
[aria-expanded=true] > [part=step-fold]::before { content: "▾"; font-size: 1.2em; }
:dir(rtl) > [part=step][aria-expanded=false] > [part=step-fold]::before { content: "◂"; }
[part=step-name] { display: flex; min-inline-size: 0; direction: ltr; white-space: nowrap; }
:host(:dir(rtl)) [part=step-name] { justify-content: end; }
[part=step-name] > * { overflow: hidden; text-overflow: ellipsis; unicode-bidi: plaintext; }
[part=step-name] > :first-child { color: var(--_muted); }
[part=step-name] > :last-child { flex: none; max-inline-size: 100%; }
[data-state=waiting] > [part=step-name], [data-state=skipped] > [part=step-name] { color: var(--_muted); }
[data-state=skipped] > [part=step-name] { text-decoration: line-through; }
[data-kind=chain] > [part=step-name], [data-kind=group] > [part=step-name] { font-weight: 600; }
[part=step-bar] {
  overflow: hidden; block-size: 0.3rem; border-radius: 1rem; background: var(--_track);
}
[part=step-fill] {
  block-size: 100%; inline-size: 0; border-radius: inherit; background: var(--_tone);
  transition: inline-size 0.3s ease-out;
}
[part=step-figures] {
  overflow: hidden; color: var(--_tone); text-align: end; text-overflow: ellipsis;
  white-space: nowrap; font-variant-numeric: tabular-nums;
}
@container (inline-size < 22rem) {
  [part=step] { grid-template-columns: 1em minmax(0, 1fr) 14cqi 5.2rem; gap: 0 0.4rem; }
}
@media (prefers-reduced-motion: reduce) { [part=step-fill] { transition: none; } }
@media (forced-colors: active) {
  [part=step-bar] { border: 1px solid CanvasText; }
  [part=step-fill] { background: Highlight; forced-color-adjust: none; }
}
`;
