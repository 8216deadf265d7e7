// @ts-check
// Statistics: the last answer's, the server's requests, what its caches hold.
/** @import {Message} from './types.js' */
import {readMetrics, request} from './api.js';
import {byId, element} from './dom.js';

const everyMs = 1000;
const metrics = ['pippin:num_requests_running', 'pippin:num_requests_waiting', 'pippin:generation_tokens_total'];

/** @param {number} bytes */
function size(bytes) {
  const units = ['B', 'KB', 'MB', 'GB'];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; ++unit) bytes /= 1000;
  return `${bytes.toFixed(unit && bytes < 10 ? 1 : 0)} ${units[unit]}`;
}

/** @param {number} part @param {number} whole */
const percent = (part, whole) => whole ? `${Math.round(100 * part / whole)} %` : 'none yet';

/** @param {string} title @param {[string, string][]} rows */
function section(title, rows) {
  const entries = rows.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]);
  return element('section', {'aria-label': title}, element('h2', {}, title), element('dl', {}, ...entries));
}

/** @param {Message | undefined} message @returns {[string, string][]} */
function answerRows(message) {
  const stats = message?.stats;
  if (stats?.firstMs === undefined) return [['Tokens a second', '–'], ['First token', '–'], ['Cached tokens', '–']];
  return [
    ['Tokens a second', stats.tokensPerSecond?.toFixed(1) ?? '–'],
    ['First token', `${Math.round(stats.firstMs)} ms`],
    ['Cached tokens', stats.cachedTokens === undefined ? '–' : `${stats.cachedTokens} of ${stats.promptTokens}`],
    ['Answer', stats.answerTokens === undefined ? '–' : `${stats.answerTokens} tokens`],
    ['Reasoning', `${stats.reasoningTokens ?? 0} tokens`],
  ];
}

export class Panel {
  constructor() {
    this.element = byId('panel');
    this.answer = element('div', {});
    this.server = element('div', {});
    this.element.append(this.answer, this.server);
    /** @type {{tokens: number, at: number} | null} */
    this.before = null;
    this.showAnswer(undefined);
    setInterval(() => this.refresh(), everyMs);
  }

  /** @param {Message | undefined} message */
  showAnswer(message) {
    if (!this.element.hidden) this.answer.replaceChildren(section('Last answer', answerRows(message)));
    this.last = message;
  }

  /** @param {boolean} open */
  setOpen(open) {
    this.element.hidden = !open;
    this.showAnswer(this.last);
    this.refresh();
  }

  async refresh() {
    if (this.element.hidden || document.hidden || this.asking) return;
    this.asking = true;
    try {
      const [text, cache] = await Promise.all([
        request('metrics', {quiet: true}).then((response) => response.text()),
        request('v1/cache', {quiet: true}).then((response) => response.json()),
      ]);
      this.#showServer(readMetrics(text, metrics), cache);
    } catch {
      this.server.replaceChildren(section('Server', [['State', 'does not answer']]));
    }
    this.asking = false;
  }

  /** @param {number} tokens generated since the server's start @returns {number} a second, since the look before */
  #rate(tokens) {
    const now = performance.now();
    const before = this.before ?? {tokens, at: now};
    this.before = {tokens, at: now};
    return now > before.at ? Math.max(0, tokens - before.tokens) * 1000 / (now - before.at) : 0;
  }

  /** @param {Record<string, number>} sums @param {any} cache */
  #showServer(sums, {pages, media, tokens, encoder, resident_bytes: resident}) {
    this.server.replaceChildren(
      section('Requests', [
        ['Under way', String(sums[metrics[0]] ?? 0)], ['Waiting', String(sums[metrics[1]] ?? 0)],
        ['Tokens a second, all', this.#rate(sums[metrics[2]] ?? 0).toFixed(0)],
      ]),
      section('Caches', [
        ['Prompts kept', `${size(pages.cached_bytes)} of ${size(pages.limit_bytes)}`],
        ['In use', size(pages.in_use * pages.page_bytes)],
        ['Prompt tokens from the cache', percent(tokens.cached, tokens.prompt)],
        ['Pictures kept', `${media.entries}, ${size(media.bytes)}`],
        ['Pictures from the cache', percent(encoder.hits, encoder.hits + encoder.runs)],
        ['Memory of the server', size(resident)],
      ]));
  }
}
