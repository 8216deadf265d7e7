// @ts-check
// The conversation that is open, and what the user does to it.
/** @import {Attachment, Conversation, Message, Settings} from './types.js' */
import {Answers} from './answers.js';
import {announce, newId} from './dom.js';
import {requestBody} from './request.js';
import {defaultSettings} from './settings.js';
import {Store} from './store.js';
import {Thread} from './thread.js';
import {newMessage, Tree} from './tree.js';

const titleLength = 60; // characters
const aliveMs = 500; // for another tab to say that it fills a message

/**
 * What the rest of the page is told.
 * @typedef {object} Listener
 * @property {() => void} opened  another conversation is shown, or its title has changed
 * @property {() => Promise<void>} listed  the list of conversations has changed
 * @property {(message: Message | undefined) => void} answered  the answer shown last has changed
 * @property {() => void} failed  an answer failed
 * @property {(error: unknown) => void} unsaved  the browser could not keep something
 */

/** @returns {Conversation} */
function newConversation() {
  const now = Date.now();
  return {id: newId(), title: '', created: now, updated: now, leaf: null, settings: defaultSettings()};
}

export class Chat {
  /** @param {Store} store @param {Listener} listener @param {() => string} model that answers */
  constructor(store, listener, model) {
    this.store = store;
    this.listener = listener;
    this.model = model;
    this.conversation = newConversation();
    this.tree = new Tree();
    this.turns = 0;
    this.thread = new Thread({
      retry: (message) => this.retry(message), edit: (message, text) => this.edit(message, text),
      turn: (message, step) => this.turn(message, step), answerCalls: (message, results) => this.answerCalls(message, results),
    });
    this.answers = new Answers((message) => this.#changed(message), (message) => this.#save(store.putMessage(message)));
    /** @type {Set<string>} messages that another tab fills */
    this.elsewhere = new Set();
    store.channel.onmessage = ({data}) => this.#hear(data);
    addEventListener('pagehide', () => this.answers.stopAll());
  }

  get leaf() {
    return this.conversation.leaf;
  }

  get busy() {
    return this.answers.of(this.conversation.id) !== undefined;
  }

  // --- what is open ---------------------------------------------------------------------------------------------------

  /** @param {string} id of a conversation; where there is none, a new one is opened */
  async open(id) {
    const turn = ++this.turns;
    const conversation = id ? await this.store.conversation(id) : undefined;
    const messages = conversation ? await this.store.messages(id) : [];
    if (turn !== this.turns) return; // another one has been opened in the meantime
    const running = conversation && this.answers.of(id);
    this.conversation = conversation ?? newConversation();
    this.tree = new Tree(messages);
    if (running) this.tree.put(running);
    this.#show();
    this.thread.goToEnd();
    this.listener.opened();
    this.#findOrphans();
  }

  #show() {
    this.thread.show(this.tree, this.leaf);
    this.listener.answered(this.tree.path(this.leaf).findLast((message) => message.role === 'assistant'));
  }

  /** Answers that were under way when their tab went away are marked as stopped. */
  #findOrphans() {
    const open = [...this.tree.messages.values()].filter(({id, status}) => status === 'streaming' && !this.answers.running.has(id));
    for (const {id} of open) this.store.channel.postMessage({kind: 'who', id});
    if (open.length) setTimeout(() => open.forEach((message) => this.#endOrphan(message)), aliveMs);
  }

  /** @param {Message} message */
  #endOrphan(message) {
    if (this.elsewhere.has(message.id) || this.tree.get(message.id) !== message) return;
    this.#keep({...message, status: 'stopped', error: 'The page was closed in the middle of the answer.'});
  }

  /** @param {any} news from another tab */
  #hear({kind, id, message}) {
    if (kind === 'who' && this.answers.running.has(id)) this.store.channel.postMessage({kind: 'alive', id});
    if (kind === 'alive') this.elsewhere.add(id);
    if (kind === 'conversation') this.#hearConversation(id);
    if (kind === 'removed') this.#hearRemoved(id);
    if (kind === 'message' && message.conversation === this.conversation.id) this.#hearMessage(message);
  }

  /** @param {string} id */
  async #hearConversation(id) {
    await this.listener.listed();
    if (id !== this.conversation.id) return;
    const {title, settings} = await this.store.conversation(id) ?? this.conversation;
    Object.assign(this.conversation, {title, settings});
    this.listener.opened();
  }

  /** @param {string} id */
  async #hearRemoved(id) {
    await this.listener.listed();
    if (id === this.conversation.id) location.hash = '';
  }

  /** @param {Message} message */
  #hearMessage(message) {
    this.elsewhere.add(message.id);
    this.tree.put(message);
    // What goes on where this tab stands is followed; a branch elsewhere only counts.
    if (message.parent === this.leaf) this.conversation.leaf = message.id;
    this.#show();
    this.thread.update(message);
  }

  // --- keeping --------------------------------------------------------------------------------------------------------

  /** @param {Promise<void>} work */
  #save(work) {
    work.catch((error) => this.listener.unsaved(error));
  }

  /** @param {Message} message */
  #keep(message) {
    this.tree.put(message);
    this.#save(this.store.putMessage(message));
    this.thread.update(message);
  }

  saveConversation() {
    this.conversation.updated = Date.now();
    const kept = structuredClone(this.conversation);
    this.#save(this.store.putConversation(kept).then(() => this.listener.listed()));
  }

  // --- what the user does ---------------------------------------------------------------------------------------------

  /** Adds a message and shows its branch. @param {Message} message */
  #add(message) {
    this.#keep(message);
    this.conversation.leaf = message.id;
  }

  /** @param {string} text @param {Attachment[]} attachments */
  send(text, attachments) {
    this.#say(newMessage(this.conversation.id, this.leaf, 'user', {text, attachments}));
  }

  /** @param {Message} message the user's, or results of tools */
  #say(message) {
    this.conversation.title ||= (message.text || message.attachments[0]?.name || '').replace(/\s+/g, ' ').slice(0, titleLength);
    this.#add(message);
    this.#answer(message.id);
    this.thread.goToEnd();
    if (location.hash.slice(1) !== this.conversation.id) history.replaceState(null, '', `#${this.conversation.id}`);
    this.listener.opened();
  }

  /** @param {string | null} parent the message that is answered */
  async #answer(parent) {
    this.stop();
    const model = this.model();
    const body = requestBody(this.tree.path(parent), this.conversation.settings, model);
    const message = newMessage(this.conversation.id, parent, 'assistant', {model, status: 'streaming'});
    this.#add(message);
    this.saveConversation();
    this.#show();
    announce('Answering');
    await this.answers.run(message, body);
    announce(message.status === 'failed' ? `The answer failed: ${message.error}` : `Answer: ${message.text.slice(0, 500)}`);
    if (message.status === 'failed') this.listener.failed();
  }

  /** @param {Message} message of an answer under way, or just ended */
  #changed(message) {
    if (message.conversation !== this.conversation.id) return;
    this.thread.update(message);
    if (message.id === this.leaf) this.listener.answered(message);
  }

  stop() {
    const message = this.answers.of(this.conversation.id);
    if (message) this.answers.stop(message.id);
  }

  /** @param {Message} message the assistant's */
  retry(message) {
    this.#answer(message.parent);
  }

  /** @param {Message} message the user's @param {string} text */
  edit(message, text) {
    this.#say(newMessage(this.conversation.id, message.parent, 'user', {text: text.trim(), attachments: message.attachments}));
  }

  /** @param {Message} message @param {{id: string, text: string}[]} results */
  answerCalls(message, results) {
    this.#say(newMessage(this.conversation.id, message.id, 'tool', {results}));
  }

  /** @param {Message} message @param {-1 | 1} step */
  turn(message, step) {
    const branches = this.tree.branches(message);
    const next = branches[branches.indexOf(message.id) + step];
    if (!next) return;
    this.conversation.leaf = this.tree.leafBelow(next);
    this.saveConversation();
    this.#show();
    announce(`Branch ${branches.indexOf(next) + 1} of ${branches.length}`);
  }

  editLast() {
    const last = this.tree.path(this.leaf).findLast((message) => message.role === 'user');
    if (last) this.thread.views.get(last.id)?.edit();
  }

  /** @param {string} title */
  rename(title) {
    this.conversation.title = title;
    if (this.leaf !== null) this.saveConversation();
  }

  /** @param {Settings} settings */
  setSettings(settings) {
    this.conversation.settings = settings;
    if (this.leaf !== null) this.saveConversation();
  }
}
