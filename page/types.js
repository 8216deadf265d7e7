// @ts-check
// The shapes that the modules share. No code.

/**
 * @typedef {{kind: 'image' | 'video', name: string, url: string}} Attachment url: a data: URL
 * @typedef {{id: string, name: string, arguments: string}} Call arguments: JSON as the model wrote it
 * @typedef {{id: string, text: string}} Result of the call with that id
 * @typedef {{firstMs?: number, tokensPerSecond?: number, promptTokens?: number, cachedTokens?: number,
 *            answerTokens?: number, reasoningTokens?: number, thoughtMs?: number}} Stats
 *
 * @typedef {object} Message
 * @property {string} id
 * @property {string} conversation
 * @property {string | null} parent  the message before; null at the head. Messages with one parent are branches
 * @property {'user' | 'assistant' | 'tool'} role
 * @property {number} created  milliseconds since 1970
 * @property {string} text
 * @property {Attachment[]} attachments  of the user's
 * @property {string} reasoning
 * @property {Call[]} calls
 * @property {Result[]} results  of a tool's message
 * @property {'done' | 'streaming' | 'stopped' | 'cut' | 'failed'} status
 * @property {string} error
 * @property {string} model
 * @property {Stats} stats
 *
 * @typedef {object} Settings  numbers may be null: the model's recommendation
 * @property {string} system
 * @property {string} tools  JSON, or empty
 * @property {string} reasoning_effort  or empty
 * @property {number | null} temperature
 * @property {number | null} top_p
 * @property {number | null} top_k
 * @property {number | null} min_p
 * @property {number | null} repetition_penalty
 * @property {number | null} presence_penalty
 * @property {number | null} frequency_penalty
 * @property {number | null} max_tokens
 * @property {number | null} seed
 *
 * @typedef {object} Conversation
 * @property {string} id
 * @property {string} title
 * @property {number} created
 * @property {number} updated
 * @property {string | null} leaf  the last message of the branch that was shown last
 * @property {Settings} settings
 */

export {};
