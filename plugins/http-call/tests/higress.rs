// SPDX-License-Identifier: Apache-2.0
//! http-call as built for Higress, and linked into the test, with a token service that the test plays.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use serde_json::{Value, json};
use testkit::host::{Higress, Message, Plugin, Request};

testkit::both!(
    allowed,
    denied,
    backend_down,
    backend_too_slow,
    backend_garbage,
    backend_answers_too_much,
    dispatch_refused,
    client_leaves_while_waiting,
    any_byte_in_a_header,
    no_body_with_a_content_type,
    a_body_waits_with_its_headers,
    no_configuration,
    configuration_errors,
    a_rule_of_each_category,
    replies_in_reverse_order,
);

const SERVICE: &str = "outbound|80||token.static";

fn config() -> Value {
    json!({"serviceName": "token.static", "requestPath": "/token?a=%20b", "tokenHeader": "X-Token"})
}

fn start(plugin: &Plugin) -> Higress {
    plugin.gateway().cluster(SERVICE).start(config()).unwrap()
}

fn assert_passed_with(request: &Request, tokens: &[&[u8]]) {
    assert_eq!(request.upstream().unwrap().header("x-token"), tokens);
    assert_eq!(request.answered_by_upstream().text(), "from upstream");
}

fn assert_failed(request: &Request) {
    let answer = request.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (500, "http call failed"));
    assert_eq!(request.upstream(), None);
}

fn assert_served(higress: &Higress) {
    let request = higress.get("/");
    request.http_call().reply(200, &[("x-token", b"next")], "");
    assert_passed_with(&request, &[b"next"]);
}

fn allowed(plugin: Plugin) {
    let higress = start(&plugin);
    let request = higress.request("GET", "/path").header("x-token", "of the client").header("x-token", "again").send();
    assert!(request.is_waiting());
    let call = request.http_call();
    assert_eq!((call.cluster.as_str(), call.timeout), (SERVICE, Duration::from_millis(500)));
    let headers = [":method", ":path", ":authority"].map(|name| call.request.header(name).concat());
    assert_eq!(headers, [&b"GET"[..], b"/token?a=%20b", b"token.static"]);
    assert_eq!((call.request.headers.len(), call.request.body.len()), (3, 0));
    call.reply(200, &[("x-other", b"1"), ("x-token", b"secret"), ("x-token", b"second")], "body");
    assert_passed_with(&request, &[b"secret"]);
    assert_eq!(higress.log(), "");
}

fn denied(plugin: Plugin) {
    let higress = start(&plugin);
    for status in [404, 500, 201, 302] {
        let request = higress.get("/");
        request.http_call().reply(status, &[("x-token", b"secret")], "");
        assert_failed(&request);
        assert!(higress.log().contains(&format!("[http-call] http call failed, status: {status}")));
    }
    // An answer without a token is one.
    let request = higress.request("GET", "/").header("x-token", "of the client").send();
    request.http_call().reply(200, &[], "");
    assert_passed_with(&request, &[]);
}

fn backend_down(plugin: Plugin) {
    let higress = start(&plugin);
    let request = higress.get("/");
    request.http_call().fail();
    assert_failed(&request);
    assert!(!higress.log().is_empty());
    assert_served(&higress);
}

fn backend_too_slow(plugin: Plugin) {
    let mut config = config();
    config["timeout"] = json!(50);
    let higress = plugin.gateway().cluster(SERVICE).start(config).unwrap();
    let request = higress.get("/");
    assert_eq!(request.http_call().timeout, Duration::from_millis(50));
    request.http_call().time_out();
    assert_failed(&request);
    assert!(higress.log().contains("504"));
    assert_served(&higress);
}

fn backend_garbage(plugin: Plugin) {
    let higress = start(&plugin);
    let status = |status: &[u8]| vec![(":status".to_owned(), status.to_vec())];
    for headers in [status(b""), status(b"\xff"), status(b"-1"), status(b"99999"), vec![("x".to_owned(), vec![])]] {
        let request = higress.get("/");
        request.http_call().reply_with(Message { headers, ..Message::default() });
        assert_failed(&request);
    }
    let high: Vec<u8> = (0x80..=0xff).collect();
    let request = higress.get("/");
    let trailers = vec![("x-token".to_owned(), high.clone())];
    let headers = [status(b"200"), trailers.clone()].concat();
    request.http_call().reply_with(Message { headers, body: vec![0xff; 100_000], trailers });
    assert_passed_with(&request, &[&high]);
}

fn dispatch_refused(plugin: Plugin) {
    for gateway in [plugin.gateway(), plugin.gateway().cluster_without_hosts(SERVICE)] {
        let higress = gateway.start(config()).unwrap();
        let request = higress.request("GET", "/").header("x-token", "of the client").send();
        assert_passed_with(&request, &[]);
        assert!(higress.log().contains("[error] wasm log http-call: [http-call] http call: "), "{}", higress.log());
    }
}

fn backend_answers_too_much(plugin: Plugin) {
    let higress = start(&plugin);
    for (length, is_served) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        let request = higress.get("/");
        request.http_call().reply(200, &[("x-token", b"token")], vec![b'a'; length]);
        if is_served {
            assert_passed_with(&request, &[b"token"]);
        } else {
            assert_failed(&request);
        }
    }
}

fn client_leaves_while_waiting(plugin: Plugin) {
    let higress = start(&plugin);
    let (gone, other) = (higress.get("/"), higress.get("/"));
    let late = gone.http_call();
    gone.client_leaves();
    late.reply(200, &[("x-token", b"late")], "");
    assert_eq!(gone.upstream(), None);
    assert!(other.is_waiting());
    other.http_call().reply(200, &[("x-token", b"in time")], "");
    assert_passed_with(&other, &[b"in time"]);

    let gone = higress.get("/");
    let late = gone.http_call();
    gone.client_leaves();
    late.fail();
    assert_served(&higress);
    assert_eq!(higress.log(), "");
}

fn any_byte_in_a_header(plugin: Plugin) {
    let high: Vec<u8> = (0x80..=0xff).collect();
    let mut config = config();
    config["_rules_"] = json!([{"_match_domain_": ["a"], "serviceName": "a.static", "requestPath": "/",
        "tokenHeader": "x"}]);
    let higress = plugin.gateway().cluster(SERVICE).start(config).unwrap();
    let request = higress.request("GET", "/").authority("").header(":authority", &high).header("x-token", &high);
    let request = request.header("x-other", &high).send();
    request.http_call().reply(200, &[("x-token", &high)], "");
    assert_eq!(request.upstream().unwrap().header("x-other"), [&high]);
    assert_passed_with(&request, &[&high]);
}

fn no_body_with_a_content_type(plugin: Plugin) {
    let higress = start(&plugin);
    let request = higress.request("POST", "/").header("content-type", "application/json").send();
    request.http_call().reply(200, &[("x-token", b"secret")], "");
    assert_passed_with(&request, &[b"secret"]);
}

fn a_body_waits_with_its_headers(plugin: Plugin) {
    let higress = start(&plugin);
    let request = higress.request("POST", "/").body("one").body("two").send();
    assert_eq!(request.upstream(), None);
    request.http_call().reply(200, &[("x-token", b"secret")], "");
    assert_eq!(request.upstream().unwrap().text(), "onetwo");
    assert_passed_with(&request, &[b"secret"]);
    // A client that is refused gets its answer without sending the rest.
    let request = higress.request("POST", "/").body("one").begin();
    request.http_call().reply(403, &[], "");
    assert_failed(&request);
}

fn no_configuration(plugin: Plugin) {
    for nothing in ["", "{}"] {
        let refused = plugin.start(nothing).err().unwrap();
        assert_eq!(refused.plugin_said(), Some("[http-call] configuration refused: serviceName: is required"));
    }
}

fn configuration_errors(plugin: Plugin) {
    let with = |key: &str, value: Value| {
        let mut config = config();
        config[key] = value;
        config
    };
    for (config, reason) in [
        (with("serviceName", json!("a b")), "serviceName: "),
        (with("serviceName", json!("token.dns")), "servicePort: is missing"),
        (with("servicePort", json!(0)), "servicePort: "),
        (with("requestPath", json!(1)), "requestPath: "),
        (with("tokenHeader", json!("x token")), "tokenHeader: "),
        (with("timeout", json!(0)), "timeout: "),
        (with("tokenheader", json!("x")), "tokenheader: unknown key"),
    ] {
        let refused = plugin.start(&config).err().unwrap();
        let said = refused.plugin_said().unwrap_or_default();
        assert!(said.starts_with(&format!("[http-call] configuration refused: {reason}")), "{config}: {said}");
    }
}

fn a_rule_of_each_category(plugin: Plugin) {
    let rule = |key: &str, value: &str, path: &str| json!({key: [value], "serviceName": "token.static", "requestPath": path, "tokenHeader": "x-token"});
    let mut both = rule("_match_route_", "both", "/both");
    both["_match_service_"] = json!(["svc.dns:8080"]);
    let mut config = config();
    config["_rules_"] = json!([
        both,
        rule("_match_route_", "route", "/route"),
        rule("_match_domain_", "*.example.org", "/domain"),
        rule("_match_service_", "svc.dns", "/service"),
        rule("_match_route_prefix_", "prefix-", "/prefix"),
    ]);
    let higress = plugin.gateway().cluster(SERVICE).start(config).unwrap();
    for (route, authority, cluster, path) in [
        ("both", "a", "outbound|8080||svc.dns", "/both"),
        ("both", "a", "outbound|80||svc.dns", "/service"),
        ("route", "a.example.org", "outbound|80||svc.dns", "/route"),
        ("other", "a.example.org:8080", "outbound|80||svc.dns", "/domain"),
        ("prefix-1", "a", "b", "/prefix"),
        ("other", "example.org", "b", "/token?a=%20b"),
    ] {
        let request = higress.request("GET", "/").route(route).authority(authority).upstream(cluster).send();
        assert_eq!(request.http_call().request.header(":path"), [path.as_bytes()], "{route} {authority} {cluster}");
        request.http_call().reply(200, &[("x-token", b"secret")], "");
        assert_passed_with(&request, &[b"secret"]);
    }
}

fn replies_in_reverse_order(plugin: Plugin) {
    let higress = start(&plugin);
    let requests = ["/0", "/1", "/2"].map(|path| higress.get(path));
    for (index, request) in requests.iter().enumerate().rev() {
        request.http_call().reply(200, &[("x-token", index.to_string().as_bytes())], "");
    }
    for (index, request) in requests.iter().enumerate() {
        assert_eq!(request.upstream().unwrap().header(":path"), [format!("/{index}").as_bytes()]);
        assert_passed_with(request, &[index.to_string().as_bytes()]);
    }
}
