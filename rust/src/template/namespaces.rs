//! namespace(): values that a template may change, and so the only ones that it can put into themselves, directly or through
//! others. minijinja counts references, so such a circle would never be freed: a kilobyte and whatever it holds, each rendering.
//! So the namespaces of a rendering are known by its thread, and circles are cut when it has ended.

use std::cell::RefCell;
use std::collections::BTreeMap;

use minijinja::value::{ValueKind, ValueOrKwargs};
use minijinja::{context, Environment, Error, Value};

thread_local! {
    static MADE: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
}

/// The template's function.
pub fn namespace(defaults: Option<ValueOrKwargs>) -> Result<Value, Error> {
    let made = minijinja::functions::namespace(defaults)?;
    MADE.with_borrow_mut(|all| all.push(made.clone()));
    Ok(made)
}

/// Cuts the circles in what this thread's rendering has made. To be called when it has ended, however it has.
pub fn free_circles(env: &Environment<'static>) {
    let made = MADE.with_borrow_mut(std::mem::take);
    for (name, namespaces) in by_member(&made) {
        // Nothing but a template can set a namespace's member.
        let source = format!("{{% for n in all %}}{{% set n.{name} = none %}}{{% endfor %}}");
        let _ = env.render_named_str("free_circles", &source, context! { all => namespaces });
    }
}

/// The namespaces by the names of the members through which a circle may run. One that was set has an identifier's name; others
/// come from the namespace's beginning, when it could not be part of a circle yet.
fn by_member(made: &[Value]) -> BTreeMap<String, Vec<Value>> {
    let mut names: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for namespace in made {
        for name in namespace.try_iter().into_iter().flatten() {
            let holds = namespace.get_item(&name).is_ok_and(|member| may_hold_others(&member));
            match name.as_str() {
                Some(name) if holds && is_identifier(name) => {
                    names.entry(name.to_string()).or_default().push(namespace.clone())
                }
                _ => {}
            }
        }
    }
    names
}

/// Macros hold what is around them.
fn may_hold_others(value: &Value) -> bool {
    use ValueKind::{Iterable, Map, Plain, Seq};
    matches!(value.kind(), Iterable | Map | Plain | Seq)
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_numeric())
        && name.chars().all(|c| c == '_' || c.is_alphanumeric())
        && !name.is_empty()
}

#[cfg(test)]
#[path = "namespaces_test.rs"]
mod tests;
