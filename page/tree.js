// @ts-check
// The tree of a conversation's messages. Each message names its parent; a branch is the path from a leaf to the head.
/** @import {Message} from './types.js' */
import {newId} from './dom.js';

export class Tree {
  /** @param {Message[]} messages */
  constructor(messages = []) {
    /** @type {Map<string, Message>} */
    this.messages = new Map();
    /** @type {Map<string | null, string[]>} ids of the children, oldest first */
    this.children = new Map();
    for (const message of [...messages].sort((a, b) => a.created - b.created)) this.put(message);
  }

  /** Adds a message, or replaces the one of the same id. @param {Message} message */
  put(message) {
    if (!this.messages.has(message.id)) {
      const siblings = this.children.get(message.parent) ?? [];
      siblings.push(message.id);
      this.children.set(message.parent, siblings);
    }
    this.messages.set(message.id, message);
  }

  /** @param {string | null} id @returns {Message | undefined} */
  get(id) {
    return id === null ? undefined : this.messages.get(id);
  }

  /** @param {string | null} leaf @returns {Message[]} from the head to the leaf */
  path(leaf) {
    const path = [];
    for (let message = this.get(leaf); message && path.length <= this.messages.size; message = this.get(message.parent))
      path.push(message);
    return path.reverse();
  }

  /** @returns {Message[]} all of them, parents before their children */
  all() {
    const ids = [...this.children.get(null) ?? []];
    for (let i = 0; i < ids.length; ++i) ids.push(...this.children.get(ids[i]) ?? []);
    return ids.map((id) => /** @type {Message} */ (this.get(id)));
  }

  /** @param {Message} message @returns {string[]} the branches at this place, the message's own id among them */
  branches(message) {
    return this.children.get(message.parent) ?? [message.id];
  }

  /** @param {string | null} id @returns {string | null} the end of the newest branch below a message */
  leafBelow(id) {
    let leaf = id;
    for (let next = this.children.get(leaf); next?.length; next = this.children.get(leaf)) leaf = next[next.length - 1];
    return leaf;
  }
}

/**
 * @param {string} conversation
 * @param {string | null} parent
 * @param {Message['role']} role
 * @param {Partial<Message>} [members]
 * @returns {Message}
 */
export function newMessage(conversation, parent, role, members = {}) {
  return {
    id: newId(), conversation, parent, role, created: Date.now(), text: '', attachments: [], reasoning: '', calls: [],
    results: [], status: 'done', error: '', model: '', stats: {}, ...members,
  };
}
