// SPDX-License-Identifier: Apache-2.0
//! hello-world as built for Higress, whatever comes: it says hello world.

use proptest::prelude::*;
use serde_json::json;
use testkit::host::random::{self, Reply, Run, Seen};

fn runs() -> impl Strategy<Value = Run> {
    random::run(&["content-type", "content-length"], random::configuration(Just(json!({}))), Just(Reply::None))
}

fn says_hello(seen: &Seen) {
    assert!(!seen.called, "{seen:?}");
    let Some(answer) = &seen.answer else { return };
    let is_greeted = (answer.status(), answer.text().as_str()) == (200, "hello world") && seen.upstream.is_none();
    assert!(is_greeted || (seen.may_be_left_alone() && seen.is_untouched()), "{seen:?}");
}

proptest! {
    #![proptest_config(random::cases(2000))]

    #[test]
    fn whatever_comes_it_says_hello(run in runs()) {
        random::check("hello-world", &json!({}), &run, says_hello);
    }
}

#[test]
fn its_memory_does_not_grow() {
    random::check_memory("hello-world", &json!({}), runs(), says_hello);
}
