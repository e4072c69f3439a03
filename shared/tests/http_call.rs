// SPDX-License-Identifier: Apache-2.0
//! Calls to HTTP services, by the plugin of `examples/http.rs`, in the real Envoy. The service is the real httpbin, or
//! a listener that answers as no good service would.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{Address, Envoy, Gateway, Httpbin, Protocol, http, module};

/// An Envoy with the plugin, whose service is at `service`, and `options` beside its name.
fn envoy(service: Address, options: &Value) -> Envoy {
    let module = module::example("shared", "http", Gateway::Envoy).unwrap();
    let mut config = json!({"serviceName": "service.static", "timeout": 60_000});
    config.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let envoy = Envoy::builder().module("http", module).config(config).upstream(service.clone());
    envoy.cluster("outbound|80||service.static", Protocol::Http, service).start().unwrap()
}

fn httpbin() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    ENVOY.get_or_init(|| envoy(Httpbin::shared().unwrap(), &json!({})))
}

/// Lets the plugin call its service.
fn call(envoy: &Envoy, method: &str, url: &str) -> http::Request {
    http::request("GET", envoy.url("/call")).header("x-method", method).header("x-url", url)
}

/// A call as the service got it.
struct Call {
    head: Vec<u8>,
    body: Vec<u8>,
    connection: TcpStream,
}

impl Call {
    fn read(mut connection: TcpStream) -> Self {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|read| read == 1) {
            head.extend(byte);
        }
        let length =
            String::from_utf8_lossy(&head).lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        connection.read_exact(&mut body).unwrap();
        Call { head, body, connection }
    }

    /// The first line, without the version.
    fn line(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned()
    }

    /// The value of every header of this name.
    fn header(&self, name: &str) -> Vec<&[u8]> {
        let lines = self.head.split(|&byte| byte == b'\n');
        lines.filter_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b": ")?.strip_suffix(b"\r")).collect()
    }

    /// Answers with these bytes, and closes the connection.
    fn answer(mut self, bytes: impl AsRef<[u8]>) {
        self.connection.write_all(bytes.as_ref()).unwrap();
    }

    fn answer_200(self, body: &str) {
        let length = body.len();
        self.answer(format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"));
    }
}

/// A service that leaves its calls to the test.
fn service() -> (Address, Receiver<Call>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::local(listener.local_addr().unwrap().port());
    let (sender, calls) = channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let (sender, connection) = (sender.clone(), connection.unwrap());
            thread::spawn(move || sender.send(Call::read(connection)));
        }
    });
    (address, calls)
}

/// Sends a request while `serve` takes care of the calls that the plugin makes for it.
fn send(request: http::Request, serve: impl FnOnce()) -> http::Reply {
    thread::scope(|scope| {
        let reply = scope.spawn(|| request.send().unwrap());
        serve();
        reply.join().unwrap()
    })
}

fn is_answered(reply: &http::Reply) -> bool {
    reply.header("x-answered") == [b"yes"]
}

fn assert_unharmed(envoy: &Envoy) {
    let log = envoy.log();
    assert!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
}

#[test]
fn a_call_reaches_httpbin_with_method_headers_and_body() {
    let all_high_bytes: Vec<u8> = (0x80..=0xff).collect();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
        let request = call(httpbin(), method, "/anything/a").header("x-body", "a body");
        let request = request.header("x-call-bytes", &all_high_bytes);
        let reply = request.header("x-call-twice", "a").header("x-call-twice", "b").send().unwrap();
        assert_eq!(reply.status, 200, "{method}");
        let seen = reply.json();
        assert_eq!(seen["method"], method);
        assert_eq!(seen["data"], "a body", "{method}");
        assert_eq!(seen["headers"]["Content-Length"], "6", "{method}");
        assert_eq!(seen["headers"]["Host"], "service.static");
        assert_eq!(seen["headers"]["X-Call-Twice"], "a,b");
        let high_text: String = all_high_bytes.iter().map(|&byte| char::from(byte)).collect();
        assert_eq!(seen["headers"]["X-Call-Bytes"], high_text);
    }
}

#[test]
fn every_method_is_sent_as_it_is_called() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"] {
        let reply = send(call(&envoy, method, "/path?query"), || {
            let call = calls.recv().unwrap();
            assert_eq!(call.line(), format!("{method} /path?query"));
            call.answer("HTTP/1.1 200 OK\r\nx-got: it\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        });
        assert_eq!((reply.status, reply.header("x-reply-x-got")), (200, vec![b"it".as_slice()]), "{method}");
    }
}

#[test]
fn a_connect_is_refused_by_the_gateway() {
    let (address, _calls) = service();
    let reply = call(&envoy(address, &json!({})), "CONNECT", "/").send().unwrap();
    assert_eq!((reply.status, is_answered(&reply), reply.text()), (503, true, "missing required header: :protocol"));
}

#[test]
fn a_path_is_sent_as_it_is_written() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    for (url, host, path) in [
        ("/anything/a%20b%2Fc?d=%26", "service.static", "/anything/a%20b%2Fc?d=%26"),
        ("/a/../b//c;d?e=f+g&&h", "service.static", "/a/../b//c;d?e=f+g&&h"),
        ("http://www.example.com/a?b", "www.example.com", "/a?b"),
        ("https://www.example.com:8443", "www.example.com:8443", "/"),
        ("", "service.static", "/"),
    ] {
        let reply = send(call(&envoy, "GET", url), || {
            let call = calls.recv().unwrap();
            assert_eq!(call.line(), format!("GET {path}"), "{url}");
            assert_eq!(call.header("host"), [host.as_bytes()], "{url}");
            call.answer_200("");
        });
        assert_eq!(reply.status, 200, "{url}");
    }
}

#[test]
fn any_byte_of_a_header_and_of_a_body_is_sent() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    let high_bytes: Vec<u8> = (0x80..=0xff).collect();
    let request = call(&envoy, "POST", "/").header("x-body", &high_bytes).header("x-call-bytes", &high_bytes);
    let request = request.header("x-call-twice", "a").header("x-call-twice", "b");
    let reply = send(request, || {
        let call = calls.recv().unwrap();
        assert_eq!(call.header("x-call-bytes"), [high_bytes.as_slice()]);
        assert_eq!(call.header("x-call-twice"), [b"a", b"b"]);
        assert_eq!(call.body, high_bytes);
        call.answer_200("");
    });
    assert_eq!(reply.status, 200);
}

#[test]
fn a_reply_has_status_headers_and_body() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    let mut body: Vec<u8> = (0..=255).collect();
    body = body.repeat(800);
    let head = b"HTTP/1.1 404 Not Found\r\nX-Twice: a\r\nx-bytes: \x80\xff\r\nx-twice: b\r\nconnection: close\r\n\r\n";
    let reply = send(call(&envoy, "GET", "/"), || calls.recv().unwrap().answer([head.as_slice(), &body].concat()));
    assert_eq!(reply.status, 404);
    assert_eq!(reply.header("x-reply-x-twice"), [b"a", b"b"]);
    assert_eq!(reply.header("x-reply-x-bytes"), [b"\x80\xff"]);
    assert!(reply.header("x-reply-:status").is_empty());
    assert!(reply.body == body);
}

#[test]
fn every_status_is_a_reply() {
    for status in [201, 301, 404, 503] {
        let reply = call(httpbin(), "GET", &format!("/status/{status}")).send().unwrap();
        assert_eq!((reply.status, is_answered(&reply)), (status, true));
    }
}

#[test]
fn a_chunked_reply_is_whole_without_its_trailers() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-last\r\n\r\n\
        2\r\nab\r\n3\r\ncde\r\n0\r\nx-last: value\r\n\r\n";
    let reply = send(call(&envoy, "GET", "/"), || calls.recv().unwrap().answer(answer));
    assert_eq!((reply.status, reply.text()), (200, "abcde"));
    // Envoy drops the trailers of HTTP/1.1 unless its cluster has `enable_trailers`.
    assert!(reply.header("x-trailer-x-last").is_empty());
}

#[test]
fn an_unknown_cluster_is_that() {
    let envoy = envoy(Httpbin::shared().unwrap(), &json!({"serviceName": "unknown.static"}));
    let reply = call(&envoy, "GET", "/get").send().unwrap();
    assert_eq!((reply.status, reply.text()), (500, "NoSuchCluster"));
}

#[test]
fn when_nobody_listens_the_gateway_replies_503() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let reply = call(&envoy(Address::local(nobody), &json!({})), "GET", "/get").send().unwrap();
    assert_eq!((reply.status, is_answered(&reply)), (503, true));
}

#[test]
fn when_the_time_has_passed_the_gateway_replies_504() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::local(silent.local_addr().unwrap().port());
    let reply = call(&envoy(address, &json!({"timeout": 50})), "GET", "/get").send().unwrap();
    assert_eq!((reply.status, is_answered(&reply), reply.text()), (504, true, "upstream request timeout"));
}

#[test]
fn the_time_is_half_a_second_unless_said() {
    let (address, calls) = service();
    let _ = send(call(&envoy(address, &json!({"timeout": null})), "GET", "/"), || {
        let call = calls.recv().unwrap();
        assert_eq!(call.header("x-envoy-expected-rq-timeout-ms"), [b"500"]);
        call.answer_200("");
    });
}

#[test]
fn when_the_service_breaks_off_before_its_headers_the_gateway_replies() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    for (answer, status) in [("", 503), ("HTTP/1.1 200", 502), ("\0 garbage\r\n\r\n", 502)] {
        let reply = send(call(&envoy, "GET", "/"), || calls.recv().unwrap().answer(answer));
        assert_eq!((reply.status, is_answered(&reply)), (status, true), "{answer}");
    }
}

#[test]
fn when_the_service_breaks_off_after_its_headers_there_is_no_answer() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let reply = send(call(&envoy, "GET", "/"), || calls.recv().unwrap().answer(answer));
        assert_eq!((reply.status, reply.text()), (500, "NoAnswer"), "{answer}");
    }
}

/// The next two calls, that to `/first` first.
fn both(calls: &Receiver<Call>) -> (Call, Call) {
    let (one, other) = (calls.recv().unwrap(), calls.recv().unwrap());
    if one.line() == "GET /first" { (one, other) } else { (other, one) }
}

#[test]
fn two_calls_wait_together_and_each_gets_its_own_reply() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    for in_order in [true, false] {
        let reply = send(http::request("GET", envoy.url("/together")), || {
            let (first, second) = both(&calls);
            if in_order {
                first.answer_200("1");
                second.answer_200("2");
            } else {
                second.answer_200("2");
                first.answer_200("1");
            }
        });
        assert_eq!((reply.status, reply.text()), (200, "1 2"));
    }
}

#[test]
fn a_late_reply_to_a_call_that_was_given_up_is_dropped() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    let reply = send(http::request("GET", envoy.url("/given-up")), || {
        let (first, second) = both(&calls);
        first.answer_200("1");
        second.answer_200("2");
    });
    assert_eq!((reply.status, reply.text()), (200, "2"));
    assert_eq!(reply.header("x-waited"), [b"true"]);
    assert_unharmed(&envoy);
}

fn one_after_another(envoy: &Envoy, id: &str) {
    let reply = http::request("GET", envoy.url("/one-after-another")).header("x-id", id).send().unwrap();
    assert_eq!((reply.status, reply.text()), (200, format!("/first/{id} /second/{id}").as_str()));
    assert_eq!(reply.header("x-id"), [id.as_bytes()]);
}

#[test]
fn a_call_made_after_a_reply_belongs_to_its_request() {
    const REQUESTS: usize = 20;
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    let path = |call: &Call| call.line().strip_prefix("GET ").unwrap().to_owned();
    thread::scope(|scope| {
        for id in 0..REQUESTS {
            let envoy = &envoy;
            scope.spawn(move || one_after_another(envoy, &id.to_string()));
        }
        // All of them wait for their first reply; each gets it, and calls again, while the others still wait.
        let firsts: Vec<Call> = calls.iter().take(REQUESTS).collect();
        let mut seconds = Vec::new();
        for first in firsts.into_iter().rev() {
            let first_path = path(&first);
            first.answer_200(&first_path);
            let second = calls.recv().unwrap();
            assert_eq!(path(&second), first_path.replace("first", "second"));
            seconds.push(second);
        }
        for second in seconds {
            let second_path = path(&second);
            second.answer_200(&second_path);
        }
    });
    assert_unharmed(&envoy);
}

#[test]
fn many_requests_each_see_their_own_replies() {
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    thread::spawn(move || {
        for call in calls {
            let path = call.line().strip_prefix("GET ").unwrap().to_owned();
            call.answer_200(&path);
        }
    });
    thread::scope(|scope| {
        for client in 0..16 {
            let envoy = &envoy;
            scope.spawn(move || (0..25).for_each(|request| one_after_another(envoy, &format!("{client}-{request}"))));
        }
    });
    assert_unharmed(&envoy);
}

fn wait_until_zero(envoy: &Envoy, stat: &str) {
    let start = Instant::now();
    while envoy.stat(stat).unwrap() != Some(0) {
        assert!(start.elapsed() < Duration::from_secs(30), "{stat} is not 0");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn clients_that_leave_while_a_call_is_outstanding_do_no_harm() {
    const CLIENTS: usize = 300;
    let (address, calls) = service();
    let envoy = envoy(address, &json!({}));
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|client| {
            let mut connection = TcpStream::connect(("127.0.0.1", envoy.port())).unwrap();
            write!(connection, "GET /call HTTP/1.1\r\nhost: a\r\nx-url: /{client}\r\n\r\n").unwrap();
            connection
        })
        .collect();
    let outstanding: Vec<Call> = calls.iter().take(CLIENTS).collect();
    assert_eq!(outstanding.iter().map(Call::line).collect::<HashSet<_>>().len(), CLIENTS);
    drop(clients);
    // The gateway goes on with the calls; their replies come to requests that are gone.
    wait_until_zero(&envoy, "http.gateway.downstream_rq_active");
    outstanding.into_iter().for_each(|call| call.answer_200("late"));
    wait_until_zero(&envoy, "cluster.outbound|80||service.static.upstream_rq_active");
    let reply = send(self::call(&envoy, "GET", "/next"), || {
        let call = calls.recv().unwrap();
        assert_eq!(call.line(), "GET /next");
        call.answer_200("served");
    });
    assert_eq!((reply.status, reply.text()), (200, "served"));
    assert_unharmed(&envoy);
}
