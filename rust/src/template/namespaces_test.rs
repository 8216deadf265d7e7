//! Whatever a template puts into its namespaces, nothing of it is left behind.

use std::sync::Arc;

use minijinja::value::Object;
use minijinja::{context, Value};

use super::free_circles;
use crate::template::jinja::environment;

/// Tells by its count of references what still holds it.
#[derive(Debug)]
struct Probe;

impl Object for Probe {}

/// What the template says, and how many references to the probe are left behind it.
fn rendered(source: &str) -> (Option<String>, usize) {
    let probe = Arc::new(Probe);
    let said = {
        let env = environment("t", source).unwrap();
        let held = Value::from_dyn_object(probe.clone());
        let said = env.get_template("t").unwrap().render(context! { probe => held }).ok();
        free_circles(&env);
        said
    };
    (said, Arc::strong_count(&probe) - 1)
}

#[test]
fn circles_are_freed() {
    for source in [
        "{% set n = namespace(p=probe) %}{% set n.me = n %}",
        "{% set n = namespace(p=probe) %}{% set n.list = [1, [n]] %}",
        "{% set n = namespace(p=probe) %}{% set n.dict = {'a': n} %}",
        "{% set a = namespace(p=probe) %}{% set b = namespace(a=a) %}{% set a.b = b %}",
        "{% set a = namespace({'p': probe, 'x y': 1}) %}{% set b = namespace({'x y': a}) %}{% set a.b = b %}",
        "{% set n = namespace(p=probe) %}{% macro m() %}{{ n }}{% endmacro %}{% set n.m = m %}",
        "{% for i in range(9) %}{% set n = namespace(p=probe) %}{% set n.me = n %}{% endfor %}",
        "{% set n = namespace(p=probe) %}{% set n.é_1 = n %}",
        "{% set n = namespace(p=probe) %}{% set n.me = n %}{{ raise_exception('no') }}",
        "{% set n = namespace(p=probe, me=none) %}{% set n.me = n %}{{ n.me.me.me.p }}",
        "{% set n = namespace(p=probe) %}{% set n.me = {'a': n}.items() %}",
        "{% set n = namespace(p=probe) %}{% set n.me = [n]|map(attribute='x') %}",
    ] {
        assert_eq!(rendered(source).1, 0, "{source}");
    }
}

#[test]
fn what_is_no_circle_is_freed_as_ever() {
    let (said, left) = rendered(
        "{% set n = namespace(found=false, p=probe) %}{% for i in range(3) %}{% set n.found = i %}{% endfor %}{{ n.found }}",
    );
    assert_eq!((said.as_deref(), left), (Some("2"), 0));
}

#[test]
fn renderings_of_a_thread_do_not_share_namespaces() {
    let source = "{% set n = namespace() %}{% set n.me = [n] %}{{ n.me|length }}";
    for _ in 0..3 {
        assert_eq!(rendered(source).0.as_deref(), Some("1"));
    }
    super::MADE.with_borrow(|made| assert!(made.is_empty()));
}
