//! Pages in a real browser: what people see, and nothing else.
//!
//! Where Chromium is not installed, each test says so and ends.

mod driver;
mod look;
mod live;
mod report;
