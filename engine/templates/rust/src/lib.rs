//! A microengine of your own: a backend that looks at artifacts, and a strategy that stakes on the verdict.

pub mod backend;
pub mod strategy;

/// Makes both known by name to `sim` and to `microengine`; call it first thing in `main`.
pub fn register() {
    engine::backend::register(&[("{{name}}", backend::Keywords::open)]);
    engine::stake::register(&[(
        "{{name}}/cautious",
        "the cautious end of the interval, in NCT",
        strategy::Cautious::parse,
    )]);
}
