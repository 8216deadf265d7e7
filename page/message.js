// @ts-check
// One message on the screen.
/** @import {Message, Call} from './types.js' */
import {copyText, element, iconButton} from './dom.js';
import {MarkdownView} from './markdown.js';

/**
 * What a message's buttons do; the thread's owner says.
 * @typedef {object} Actions
 * @property {(message: Message) => void} retry
 * @property {(message: Message, text: string) => void} edit
 * @property {(message: Message, step: -1 | 1) => void} turn  shows the branch beside this one
 * @property {(message: Message, results: {id: string, text: string}[]) => void} answerCalls
 */

/** @param {number | undefined} value @param {string} unit @param {number} digits */
const amount = (value, unit, digits = 0) => value === undefined ? null : `${value.toFixed(digits)} ${unit}`;

/** @param {Message} message @returns {string} */
export function statsLine({stats}) {
  const cached = stats.cachedTokens === undefined ? null : `${stats.cachedTokens} of ${stats.promptTokens} prompt tokens cached`;
  return [amount(stats.answerTokens, 'tokens'), amount(stats.tokensPerSecond, 'tokens/s', 1),
          stats.firstMs === undefined ? null : `first after ${Math.round(stats.firstMs)} ms`, cached].filter(Boolean).join(' · ');
}

/** @param {string} text JSON, or what max_tokens left of it */
function prettyJson(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @param {Message['attachments'][number]} attachment */
export function preview({kind, name, url}) {
  return kind === 'image' ? element('img', {src: url, alt: name || 'Picture'})
    : element('video', {src: url, controls: true, preload: 'metadata', 'aria-label': name || 'Clip'});
}

const endings = {stopped: 'Stopped.', cut: 'The answer reached its limit of tokens.', failed: '', done: '', streaming: ''};

export class MessageView {
  /** @param {Message} message @param {Actions} actions */
  constructor(message, actions) {
    this.message = message;
    this.actions = actions;
    this.shown = false;
    this.branches = {index: 0, count: 1};
    this.body = element('div', {class: 'body'});
    this.foot = element('div', {class: 'foot'});
    const who = {user: 'You', assistant: message.model || 'Answer', tool: 'Tool results'}[message.role];
    this.element = element('li', {class: `message ${message.role}`, 'data-id': message.id},
                           element('article', {}, element('h2', {class: message.role === 'assistant' ? 'who' : 'unseen'}, who), this.body, this.foot));
    // Until it comes near the screen: its text, which costs little and can be searched.
    this.body.append(element('div', {class: 'plain'}, message.text));
  }

  /** Draws the message whole, when it comes near the screen. */
  show() {
    if (this.shown) return;
    this.shown = true;
    this.body.replaceChildren();
    if (this.message.role === 'assistant') this.#buildAnswer();
    else this.#buildSaid();
    this.#buildFoot();
    this.update(this.message);
  }

  #buildSaid() {
    const {attachments, results, text} = this.message;
    if (attachments.length) this.body.append(element('div', {class: 'media'}, ...attachments.map(preview)));
    for (const {text: result} of results) this.body.append(element('div', {class: 'plain result'}, result));
    if (text) this.body.append(element('div', {class: 'plain'}, text));
  }

  #buildAnswer() {
    this.thoughtTitle = element('summary', {});
    this.thought = element('div', {class: 'plain'});
    this.reasoning = element('details', {class: 'reasoning', hidden: true}, this.thoughtTitle, this.thought);
    this.text = element('div', {class: 'markdown'});
    this.calls = element('div', {class: 'calls'});
    this.note = element('p', {class: 'note ending', hidden: true});
    this.markdown = new MarkdownView(this.text);
    this.body.append(this.reasoning, this.text, this.calls, this.note);
  }

  #buildFoot() {
    const {message, actions} = this;
    this.position = element('span', {});
    this.turns = element('span', {class: 'turns', hidden: true}, iconButton('left', 'Branch before', () => actions.turn(message, -1)),
                         this.position, iconButton('right', 'Next branch', () => actions.turn(message, 1)));
    this.stats = element('span', {class: 'stats'});
    const change = message.role === 'user' ? iconButton('edit', 'Edit', () => this.edit())
      : message.role === 'assistant' ? iconButton('retry', 'Retry', () => actions.retry(message)) : null;
    this.foot.append(this.turns, iconButton('copy', 'Copy', () => copyText(this.message.text)), ...(change ? [change] : []), this.stats);
  }

  /** @param {{index: number, count: number}} branches this one's place among those at the same place, from 0 */
  setBranches(branches) {
    this.branches = branches;
    if (!this.shown) return;
    this.turns.hidden = branches.count < 2;
    this.position.textContent = `${branches.index + 1}/${branches.count}`;
  }

  /** Shows what has changed. @param {Message} message */
  update(message) {
    this.message = message;
    this.setBranches(this.branches);
    if (!this.shown || message.role !== 'assistant') return;
    const streaming = message.status === 'streaming';
    this.element.classList.toggle('streaming', streaming);
    this.element.toggleAttribute('aria-busy', streaming);
    this.#showReasoning(streaming);
    this.markdown.show(message.text);
    this.#showCalls(streaming);
    const ending = message.error || endings[message.status];
    this.note.hidden = !ending;
    this.note.textContent = ending;
    this.note.classList.toggle('error', message.status === 'failed');
    this.stats.textContent = statsLine(message);
  }

  /** @param {boolean} streaming */
  #showReasoning(streaming) {
    const {reasoning, text, stats, calls} = this.message;
    this.reasoning.hidden = !reasoning;
    const thinks = streaming && !text && !calls.length;
    this.thoughtTitle.textContent = thinks || stats.thoughtMs === undefined ? 'Thinking' : `Thought for ${(stats.thoughtMs / 1000).toFixed(1)} s`;
    if (this.thought.textContent !== reasoning) this.thought.textContent = reasoning;
  }

  /** @param {boolean} streaming */
  #showCalls(streaming) {
    const {calls} = this.message;
    const state = JSON.stringify([calls, streaming]);
    if (this.callState === state) return;
    this.callState = state;
    this.calls.replaceChildren(...calls.map((call) => this.#card(call)));
    if (calls.length && !streaming) this.calls.append(this.#resultForm(calls));
  }

  /** @param {Call} call */
  #card(call) {
    return element('section', {class: 'call', 'aria-label': `Call of ${call.name}`}, element('h3', {}, 'Calls ', element('code', {}, call.name)),
                   element('pre', {tabindex: 0, role: 'region', 'aria-label': 'Arguments'}, prettyJson(call.arguments)));
  }

  /** Nothing is run here: the user tells the results. @param {Call[]} calls */
  #resultForm(calls) {
    const fields = calls.map((call) => element('textarea', {rows: 1, 'aria-label': `Result of ${call.name}`, placeholder: `Result of ${call.name}`}));
    const send = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.actions.answerCalls(this.message, calls.map((call, i) => ({id: call.id, text: fields[i].value})));
    };
    return element('form', {class: 'results', 'aria-label': 'Results of the calls', submit: send}, ...fields, element('button', {type: 'submit'}, 'Send results'));
  }

  /** Turns the message into a field. */
  edit() {
    this.show();
    const before = [...this.body.childNodes];
    const field = element('textarea', {'aria-label': 'Edit the message', rows: 3});
    field.value = this.message.text;
    const close = () => {
      this.body.replaceChildren(...before);
      this.foot.hidden = false;
    };
    const send = (/** @type {Event} */ event) => {
      event.preventDefault();
      close();
      this.actions.edit(this.message, field.value);
    };
    const form = element('form', {class: 'edit', 'aria-label': 'Edit', submit: send}, field,
                         element('div', {class: 'buttons'}, element('button', {type: 'button', click: close}, 'Cancel'),
                                 element('button', {type: 'submit', class: 'primary'}, 'Send')));
    field.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
      if (event.key === 'Escape') close();
      else if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      else send(event);
      event.stopPropagation();
    });
    this.foot.hidden = true;
    this.body.replaceChildren(...this.body.querySelectorAll('.media'), form);
    field.focus();
  }
}
