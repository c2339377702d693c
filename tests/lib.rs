//! Empty on purpose: this package holds the workspace's tests.
