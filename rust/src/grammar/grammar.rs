//! Grammars that answers must keep to, through llguidance: which tokens may come next, which must. What C++ calls.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use crate::base::failure::{Outcome, Status};
use crate::base::ffi::{
    bytes, caught, guard, guard_value, pippin_buffer_free, put_text, text, Buffer, Ids,
};
use crate::base::memory;
use crate::grammar::compiler::{Compiler, Kind, Options};
use crate::masks::matcher::Matcher;
use crate::tokenizer::tokenizer::Tokenizer;
use crate::work::fuse::{Fuse, Limits};
use crate::work::turns::Client;
use crate::work::workshop::Order;

/// As in pippin_rust.h; 0 is the library's own figure.
#[repr(C)]
pub struct GrammarOptions {
    threads: usize,
    waiting: usize,
    all_bytes: usize,
    bytes: usize,
}

impl GrammarOptions {
    fn options(&self) -> Options {
        let own = Options::default();
        let or = |given: usize, own: usize| if given > 0 { given } else { own };
        Options {
            threads: or(self.threads, own.threads),
            waiting: or(self.waiting, own.waiting),
            all_bytes: or(self.all_bytes, own.all_bytes),
            bytes: or(self.bytes, own.bytes),
        }
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_grammars_new(
    tokenizer: *const Tokenizer,
    end_tokens: *const i32,
    num_end_tokens: usize,
    options: *const GrammarOptions,
    out: *mut *const Compiler,
    error: *mut Buffer,
) -> Status {
    let body = || {
        Arc::increment_strong_count(tokenizer);
        let tokenizer = Arc::from_raw(tokenizer);
        let ends = if num_end_tokens == 0 {
            &[]
        } else {
            std::slice::from_raw_parts(end_tokens, num_end_tokens)
        };
        Compiler::new(tokenizer, ends, (*options).options())
    };
    guard(error, body, |compiler| *out = Arc::into_raw(Arc::new(compiler)))
}

/// # Safety
/// `compiler` is null or comes from `pippin_grammars_new` and is not used again.
#[no_mangle]
pub unsafe extern "C" fn pippin_grammars_free(compiler: *const Compiler) {
    if !compiler.is_null() {
        drop(Arc::from_raw(compiler));
    }
}

/// # Safety
/// `compiler` comes from `pippin_grammars_new`.
#[no_mangle]
pub unsafe extern "C" fn pippin_grammars_bytes(compiler: *const Compiler) -> usize {
    guard_value(0, || (*compiler).quota.ledger.used())
}

/// # Safety
/// `compiler` comes from `pippin_grammars_new`.
#[no_mangle]
pub unsafe extern "C" fn pippin_grammars_waiting(compiler: *const Compiler) -> usize {
    guard_value(0, || (*compiler).workshop.num_waiting())
}

/// As in pippin_rust.h.
#[repr(C)]
pub struct GrammarOrder {
    kind: i32,
    data: *const u8,
    size: usize,
    limit_ms: u32,
    owner: *const u8,
    owner_size: usize,
    connection: *const u8,
    connection_size: usize,
    wanted: unsafe extern "C" fn(*mut c_void) -> i32,
    done: unsafe extern "C" fn(*mut c_void, Status, *mut Matcher, *mut Buffer),
    context: *mut c_void,
}

/// Who waits for a grammar.
#[derive(Clone, Copy)]
struct Caller {
    wanted: unsafe extern "C" fn(*mut c_void) -> i32,
    done: unsafe extern "C" fn(*mut c_void, Status, *mut Matcher, *mut Buffer),
    context: *mut c_void,
}

// SAFETY: whoever gives the context promises that any thread may use it.
unsafe impl Send for Caller {}
unsafe impl Sync for Caller {}

impl Caller {
    fn is_wanted(&self) -> bool {
        // SAFETY: called before done().
        unsafe { (self.wanted)(self.context) != 0 }
    }

    /// Called once.
    fn tell(&self, outcome: Outcome<Matcher>) {
        let mut error = Buffer::EMPTY;
        let (status, matcher) = match outcome {
            Ok(matcher) => (Status::Ok, Box::into_raw(Box::new(matcher))),
            Err(failure) => {
                // SAFETY: a buffer of ours.
                unsafe { put_text(&mut error, failure.message) };
                (failure.status, std::ptr::null_mut())
            }
        };
        // SAFETY: the context is good until this call; the caller takes the matcher, and leaves the buffer to us.
        unsafe {
            (self.done)(self.context, status, matcher, &mut error);
            pippin_buffer_free(&mut error);
        }
    }
}

/// # Safety
/// Pointers as in pippin_rust.h; `context` may be used by any thread until `done` is called, which is once.
#[no_mangle]
pub unsafe extern "C" fn pippin_grammar_compile(
    compiler: *const Compiler,
    order: *const GrammarOrder,
) {
    let GrammarOrder { wanted, done, context, .. } = *order;
    let caller = Caller { wanted, done, context };
    let posted = caught(|| {
        memory::check_reserve()?;
        post(compiler, &*order, caller)
    });
    if let Err(failure) = posted {
        caller.tell(Err(failure));
    }
}

/// Where it fails the caller has not been told.
///
/// # Safety
/// As for pippin_grammar_compile.
unsafe fn post(compiler: *const Compiler, order: &GrammarOrder, caller: Caller) -> Outcome<()> {
    let kind = Kind::from_number(order.kind)?;
    let text = text(order.data, order.size, "the grammar")?.to_string();
    let name = |data, size| String::from_utf8_lossy(bytes(data, size)).into_owned();
    Arc::increment_strong_count(compiler);
    let compiler = Arc::from_raw(compiler);
    let workshop = compiler.workshop.clone();
    let order = Order {
        client: Client {
            owner: name(order.owner, order.owner_size),
            connection: name(order.connection, order.connection_size),
        },
        limits: Limits {
            time: Duration::from_millis(order.limit_ms.into()),
            bytes: compiler.options.work_bytes(),
        },
        wanted: Arc::new(move || caller.is_wanted()),
    };
    let work = move |fuse: &Fuse| compiler.compile(kind, &text, fuse);
    workshop.post(order, work, move |outcome| caller.tell(outcome));
    Ok(())
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_ignored(matcher: *const Matcher, out: *mut Buffer) {
    guard_value((), || put_text(out, (*matcher).ignored().join("\n")));
}

/// # Safety
/// `matcher` comes from this library.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_bytes(matcher: *const Matcher) -> usize {
    guard_value(0, || (*matcher).bytes())
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_copy(
    matcher: *const Matcher,
    out: *mut *mut Matcher,
    error: *mut Buffer,
) -> Status {
    guard(error, || (*matcher).copy(), |copy| *out = Box::into_raw(Box::new(copy)))
}

/// # Safety
/// `matcher` is null or comes from this library and is not used again.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_free(matcher: *mut Matcher) {
    if !matcher.is_null() {
        guard_value((), || Box::from_raw(matcher).retire());
    }
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_fill(
    matcher: *mut Matcher,
    words: *mut u32,
    num_words: usize,
    error: *mut Buffer,
) -> Status {
    let words =
        if num_words == 0 { &mut [] } else { std::slice::from_raw_parts_mut(words, num_words) };
    guard(error, || (*matcher).fill(words), |()| ())
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_allows(
    matcher: *mut Matcher,
    token: i32,
    out: *mut i32,
    error: *mut Buffer,
) -> Status {
    guard(error, || (*matcher).allows(token), |allowed| *out = i32::from(allowed))
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_consume(
    matcher: *mut Matcher,
    token: i32,
    error: *mut Buffer,
) -> Status {
    guard(error, || (*matcher).consume(token), |()| ())
}

/// # Safety
/// Pointers as in pippin_rust.h.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_forced(
    matcher: *mut Matcher,
    out: *mut Ids,
    error: *mut Buffer,
) -> Status {
    guard(error, || (*matcher).forced(), |ids| *out = Ids::from_vec(ids))
}

/// # Safety
/// `matcher` comes from this library.
#[no_mangle]
pub unsafe extern "C" fn pippin_matcher_is_finished(matcher: *const Matcher) -> i32 {
    guard_value(0, || i32::from((*matcher).is_finished()))
}
