// SPDX-License-Identifier: Apache-2.0
//! What Envoy says when it does not start.

use std::fmt::{self, Display};

/// Why Envoy did not start, and all that it logged.
pub struct Refused {
    /// What was waited for, and what came instead.
    pub reason: anyhow::Error,
    /// Envoy's log; empty if it could not be run at all.
    pub log: String,
}

impl Refused {
    /// What the plugin itself said last, without Envoy's prefix: as a rule what it has against its configuration.
    #[must_use]
    pub fn plugin_said(&self) -> Option<&str> {
        let (_, entry) = self.log.rsplit_once("] wasm log ")?;
        let (_plugin, text) = entry.split_once(": ")?;
        // A panic has several lines; the next entry begins with its level in brackets.
        Some(text.split_once("\n[").map_or(text, |(text, _)| text).trim_end())
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.reason)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}") // what a test prints when it did not expect this
    }
}

impl std::error::Error for Refused {}

impl From<anyhow::Error> for Refused {
    fn from(reason: anyhow::Error) -> Self {
        Self { reason, log: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_the_plugin_said_is_found_among_what_envoy_says() {
        for (log, said) in [
            ("[error] wasm log p: key: wrong\n[error] Wasm VM failed\nUnable to create\n", Some("key: wrong")),
            ("[info] wasm log p: one\n[error] wasm log p p: two\n", Some("two")),
            (
                "[critical] wasm log p: panicked at a.rs:1:\nwhy\n[error] Function failed\n",
                Some("panicked at a.rs:1:\nwhy"),
            ),
            ("[critical] Unable to read the module\n", None),
            ("", None),
        ] {
            let refused = Refused { reason: anyhow::Error::msg("it ended"), log: log.to_owned() };
            assert_eq!(refused.plugin_said(), said, "{log}");
        }
    }
}
