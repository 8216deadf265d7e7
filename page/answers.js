// @ts-check
// Answers under way: chunks of the stream become a message.
/** @import {Message} from './types.js' */
import {ApiError, readEvents, request} from './api.js';

const saveEveryMs = 500;
const shortestMs = 20; // between the first and the last piece of an answer whose speed is measured between them

/** @param {Message} message @param {any[]} pieces of tool_calls */
function foldCalls(message, pieces) {
  for (const {index = 0, id, function: said = {}} of pieces) {
    const call = message.calls[index] ??= {id: '', name: '', arguments: ''};
    if (id) call.id = id;
    if (said.name) call.name += said.name;
    if (said.arguments) call.arguments += said.arguments;
  }
}

/** @param {Message} message @param {any} usage */
function foldUsage(message, usage) {
  Object.assign(message.stats, {
    promptTokens: usage.prompt_tokens,
    answerTokens: usage.completion_tokens,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    reasoningTokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  });
}

/** One answer's clock: when its first and its last piece came. */
class Clock {
  started = performance.now();
  first = 0;
  last = 0;
  pieces = 0;

  /** @param {Message} message */
  tick(message) {
    this.last = performance.now();
    this.first ||= this.last;
    this.pieces += 1;
    message.stats.firstMs = this.first - this.started;
    this.rate(message, this.pieces);
  }

  /** @param {Message} message @param {number} tokens */
  rate(message, tokens) {
    // An answer that came in one piece says nothing of the time between its tokens: there the whole time counts.
    const spread = this.last - this.first > shortestMs;
    const ms = this.last - (spread ? this.first : this.started);
    if (tokens > 1 && this.first) message.stats.tokensPerSecond = (spread ? tokens - 1 : tokens) * 1000 / ms;
  }
}

/**
 * Adds a chunk of the stream to the message.
 * @param {Message} message @param {any} chunk @param {Clock} clock
 */
function fold(message, chunk, clock) {
  if (chunk.error) throw new ApiError(chunk.error.status ?? 500, chunk.error.message ?? 'The server could not go on.');
  if (chunk.usage) foldUsage(message, chunk.usage);
  const choice = chunk.choices?.[0];
  if (!choice) return;
  const {content, reasoning_content: thought, reasoning, tool_calls: calls} = choice.delta ?? {};
  if (content || thought || reasoning || calls) clock.tick(message);
  if (thought ?? reasoning) {
    message.reasoning += thought ?? reasoning;
    message.stats.thoughtMs = clock.last - clock.first;
  }
  if (content) message.text += content;
  if (calls) foldCalls(message, calls);
  if (choice.finish_reason) message.status = choice.finish_reason === 'length' ? 'cut' : 'done';
}

export class Answers {
  /**
   * @param {(message: Message) => void} changed called for every chunk
   * @param {(message: Message) => void} save called now and then, and at the end
   */
  constructor(changed, save) {
    this.changed = changed;
    this.save = save;
    /** @type {Map<string, {message: Message, abort: AbortController}>} by the message's id */
    this.running = new Map();
  }

  /** @param {string} conversation @returns {Message | undefined} the answer under way there */
  of(conversation) {
    return [...this.running.values()].find(({message}) => message.conversation === conversation)?.message;
  }

  /** @param {string} id of the message */
  stop(id) {
    this.running.get(id)?.abort.abort();
  }

  /** The page is closing: what becomes of the connection then is no failure. */
  stopAll() {
    for (const {message, abort} of this.running.values()) {
      message.status = 'stopped';
      this.save(message);
      abort.abort();
    }
  }

  /**
   * Fills the message with the answer to the request; never throws. The message's status and error tell how it ended.
   * @param {Message} message @param {object} body
   */
  async run(message, body) {
    const abort = new AbortController();
    this.running.set(message.id, {message, abort});
    message.status = 'streaming';
    try {
      await this.#read(message, body, abort.signal);
    } catch (error) {
      message.status = abort.signal.aborted ? 'stopped' : 'failed';
      message.error = abort.signal.aborted ? '' : /** @type {Error} */ (error).message;
    }
    this.running.delete(message.id);
    this.save(message);
    this.changed(message);
  }

  /** @param {Message} message @param {object} body @param {AbortSignal} signal */
  async #read(message, body, signal) {
    const clock = new Clock();
    let saved = clock.started;
    const response = await request('v1/chat/completions', {body, signal});
    for await (const chunk of readEvents(response)) {
      fold(message, chunk, clock);
      if (performance.now() - saved > saveEveryMs) {
        saved = performance.now();
        this.save(message);
      }
      this.changed(message);
    }
    if (message.status === 'streaming') message.status = 'done';
    clock.rate(message, message.stats.answerTokens ?? 0);
  }
}
