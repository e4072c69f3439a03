// SPDX-License-Identifier: Apache-2.0
//! The gateway in memory is as strict as the real one, and what the plugins are built for is what they find there.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tempfile::TempDir;
use testkit::host::{Higress, Plugin, Request, imports, is_offered};
use testkit::{Gateway, module, workspace};

fn plugins() -> Vec<String> {
    let folders = fs::read_dir(workspace().join("plugins")).unwrap().map(Result::unwrap);
    let plugins: Vec<_> = folders.filter(|folder| folder.path().join("Cargo.toml").exists()).collect();
    assert!(plugins.len() >= 4);
    plugins.iter().map(|folder| folder.file_name().into_string().unwrap()).collect()
}

#[test]
fn modules_import_only_what_their_gateway_offers() {
    for plugin in plugins() {
        for gateway in [Gateway::Higress, Gateway::Envoy] {
            let imports = imports(&module::plugin(&plugin, gateway).unwrap()).unwrap();
            assert!(imports.iter().any(|(_, name)| name == "proxy_log"), "{imports:?}");
            for (from, name) in &imports {
                assert!(is_offered(gateway, from, name), "{plugin} for {} imports {from}.{name}", gateway.name());
            }
            let redis: Vec<_> = imports.iter().filter(|(_, name)| name.starts_with("proxy_redis_")).collect();
            let expected = if plugin == "redis-demo" && gateway == Gateway::Higress { 2 } else { 0 };
            assert_eq!(redis.len(), expected, "{plugin} for {}: {redis:?}", gateway.name());
        }
    }
    assert!(!is_offered(Gateway::Envoy, "env", "proxy_redis_call"));
}

/// A module of ABI 0.2.1 with these imports, and with what it does when the headers of a request come, and when a
/// part of its body comes.
fn plugin(imports: &str, on_request_headers: &str, on_request_body: &str) -> (TempDir, Plugin) {
    let nothing = |name: &str, params: usize| format!(r#"(func (export "{name}") (param {}))"#, "i32 ".repeat(params));
    let zero = |name: &str, params: usize, result: u32| {
        format!(r#"(func (export "{name}") (param {}) (result i32) (i32.const {result}))"#, "i32 ".repeat(params))
    };
    let text = format!(
        r#"(module {imports}
            (memory (export "memory") 1)
            (data (i32.const 0) "outbound|80||known")
            (func (export "_initialize"))
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
            {} {} {} {} {} {} {} {} {}
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {on_request_headers})
            (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) {on_request_body}))"#,
        nothing("proxy_on_context_create", 2),
        zero("proxy_on_vm_start", 2, 1),
        zero("proxy_on_configure", 2, 1),
        zero("proxy_on_response_headers", 3, 0),
        zero("proxy_on_response_body", 3, 0),
        nothing("proxy_on_http_call_response", 5),
        nothing("proxy_on_log", 1),
        zero("proxy_on_done", 1, 1),
        nothing("proxy_on_delete", 1),
    );
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("plugin.wasm");
    fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
    (folder, Plugin::module("plugin", path))
}

/// Why a test with such a plugin fails.
fn failure(imports: &str, on_request_headers: &str) -> String {
    let (_folder, plugin) = plugin(imports, on_request_headers, "(i32.const 0)");
    let test = || {
        let _ = plugin.gateway().cluster("outbound|80||known").start("").unwrap().get("/");
    };
    let failure = catch_unwind(AssertUnwindSafe(test)).unwrap_err();
    failure.downcast_ref::<String>().unwrap().clone()
}

const LOG: &str = r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))"#;

#[test]
fn a_request_left_waiting_for_nothing_fails_the_test() {
    let failure = failure(LOG, "(drop (call $log (i32.const 3) (i32.const 0) (i32.const 8))) (i32.const 1)");
    assert!(failure.contains("is held, and nothing would let it go on"), "{failure}");
    assert!(failure.contains("[warning] wasm log plugin: outbound\n"), "{failure}");
}

#[test]
fn a_trap_fails_the_test_with_log_and_backtrace() {
    let failure = failure(LOG, "(drop (call $log (i32.const 4) (i32.const 0) (i32.const 8))) (unreachable)");
    for part in
        ["proxy_on_request_headers trapped", "unreachable", "wasm backtrace", "[error] wasm log plugin: outbound"]
    {
        assert!(failure.contains(part), "{failure}");
    }
}

#[test]
fn a_plugin_that_never_returns_fails_the_test() {
    let failure = failure("", "(loop (br 0)) (i32.const 0)");
    assert!(failure.contains("fuel"), "{failure}");
}

#[test]
fn a_module_that_imports_what_higress_does_not_offer_does_not_start() {
    let failure = failure(r#"(import "env" "proxy_teleport" (func (result i32)))"#, "(i32.const 0)");
    assert!(failure.contains("the module imports env.proxy_teleport, which Higress does not offer"), "{failure}");
}

#[test]
fn what_is_not_held_cannot_be_resumed() {
    let resume = r#"(import "env" "proxy_continue_stream" (func $resume (param i32) (result i32)))"#;
    let failure = failure(resume, "(drop (call $resume (i32.const 0))) (i32.const 0)");
    assert!(failure.contains("something was resumed that was not held"), "{failure}");
}

/// The status of a host call that the plugin makes when a request comes, which it answers the client with.
fn status(import: &str, arguments: &str, send: impl Fn(&Higress) -> Request) -> u16 {
    let answer = r#"(import "env" "proxy_send_local_response"
        (func $answer (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))"#;
    let zeros = "(i32.const 0) ".repeat(6);
    let call = format!("(call $call {arguments})");
    let code = format!("(drop (call $answer (i32.add (i32.const 200) {call}) {zeros} (i32.const -1))) (i32.const 1)");
    let (_folder, plugin) = plugin(&format!("{answer} {import}"), &code, "(i32.const 0)");
    let gateway = plugin.gateway().cluster("outbound|80||known").cluster_without_hosts("outbound");
    send(&gateway.start("").unwrap()).answer().status() - 200
}

fn numbers(numbers: &[u32]) -> String {
    numbers.iter().map(|number| format!("(i32.const {number}) ")).collect()
}

#[test]
fn statuses_are_those_of_the_real_gateway() {
    const TO: u32 = 512;
    let import = |name: &str, params: usize| {
        format!(r#"(import "env" "{name}" (func $call (param {}) (result i32)))"#, "i32 ".repeat(params))
    };
    let get = |higress: &Higress| higress.get("/");
    // The name is "outbound", the host has no such header; its value in the request is empty or not there.
    let value = import("proxy_get_header_map_value", 5);
    let arguments = |map| numbers(&[map, 0, 8, TO, TO + 4]);
    assert_eq!(status(&value, &arguments(0), get), 1);
    assert_eq!(status(&value, &arguments(0), |higress| higress.request("GET", "/").header("Outbound", "").send()), 0);
    for map_that_is_not_there in [1, 2, 3, 6, 7, 8] {
        assert_eq!(status(&value, &arguments(map_that_is_not_there), get), 2);
    }
    let pairs = import("proxy_get_header_map_pairs", 3);
    assert_eq!(status(&pairs, &numbers(&[2, TO, TO + 4]), get), 0);

    let remove = import("proxy_remove_header_map_value", 3);
    assert_eq!(status(&remove, &numbers(&[0, 0, 8]), get), 0);
    assert_eq!(status(&remove, &numbers(&[2, 0, 8]), get), 2);

    let property = import("proxy_get_property", 4);
    assert_eq!(status(&property, &numbers(&[0, 8, TO, TO + 4]), get), 1);

    let buffer = import("proxy_get_buffer_bytes", 5);
    for (kind, expected) in [(0, 0), (1, 0), (4, 1), (7, 1), (9, 0), (10, 2)] {
        assert_eq!(status(&buffer, &numbers(&[kind, 0, 9, TO, TO + 4]), get), expected, "buffer {kind}");
    }

    // "outbound" has no hosts, "outbound|80||known" has, "out" is unknown.
    let init = import("proxy_redis_init", 7);
    for (length, expected) in [(8, 0), (18, 0), (3, 2)] {
        assert_eq!(status(&init, &numbers(&[0, length, 0, 0, 0, 0, 1000]), get), expected);
    }
    let redis = import("proxy_redis_call", 5);
    for (length, expected) in [(8, 10), (3, 2)] {
        assert_eq!(status(&redis, &numbers(&[0, length, 0, 0, TO]), get), expected);
    }
    // Without the headers that a call must have.
    let http = import("proxy_http_call", 10);
    assert_eq!(status(&http, &numbers(&[0, 18, 0, 0, 0, 0, 0, 0, 100, TO]), get), 2);

    let outside = numbers(&[0, u32::MAX, 100, TO, TO + 4]);
    assert_eq!(status(&value, &outside, get), 6);
}

#[test]
fn a_body_larger_than_the_buffer_is_answered_413() {
    const HOLD: &str = "(i32.const 1)";
    // Held until it is whole.
    let until_whole = "(i32.eqz (local.get 2))";
    let (_folder, holding) = plugin("", "(i32.const 0)", until_whole);
    let higress = holding.gateway().buffer_limit(8).start("").unwrap();
    let request = higress.request("POST", "/").body("four").body("four").send();
    assert_eq!(request.upstream().unwrap().text(), "fourfour");
    let request = higress.request("POST", "/").body("four").body("four!").send();
    assert_eq!((request.answer().status(), request.answer().text().as_str()), (413, "Payload Too Large"));
    assert_eq!(request.upstream().unwrap().text(), "");

    // What is not held may be of any size.
    let (_folder, passing) = plugin("", "(i32.const 0)", "(i32.const 0)");
    let higress = passing.gateway().buffer_limit(4).start("").unwrap();
    let request = higress.request("POST", "/").body("more than").body("four bytes").send();
    assert_eq!(request.upstream().unwrap().text(), "more thanfour bytes");

    // What is held to the end, and for nothing.
    let (_folder, forgetful) = plugin("", "(i32.const 0)", HOLD);
    let higress = forgetful.start("").unwrap();
    let request = higress.request("POST", "/").begin();
    request.send_body("part", false);
    let failure = catch_unwind(AssertUnwindSafe(|| request.send_body("end", true))).unwrap_err();
    assert!(failure.downcast_ref::<String>().unwrap().contains("is held, and nothing would let it go on"));
}
