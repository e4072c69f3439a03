// SPDX-License-Identifier: Apache-2.0
//! The tasks as a person meets them: what they say, and how they end.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use testkit::{http, workspace};

#[test]
fn make_alone_prints_every_target() {
    let make = Command::new("make").current_dir(workspace()).env_remove("MAKEFLAGS").output().unwrap();
    let help = String::from_utf8(make.stdout).unwrap();
    let makefile = std::fs::read_to_string(workspace().join("Makefile")).unwrap();
    let targets = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap();
    for target in targets.split(' ').filter(|target| *target != "wasm-target") {
        assert!(help.lines().any(|line| line.starts_with(&format!("make {target} "))), "{target}:\n{help}");
    }
}

#[test]
fn an_unknown_plugin_is_one_line_with_the_names_there_are() {
    for task in ["build", "run", "demo"] {
        let (code, said) = xtask(&[task, "no-such-plugin"]);
        assert_eq!(code, Some(1), "{task}");
        assert!(said.starts_with("no plugin \"no-such-plugin\"; there are: "), "{said}");
        assert!(said.contains("hello-world, ") && said.contains("mock-response"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn run_without_a_plugin_says_which_there_are() {
    let (code, said) = xtask(&["run"]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("which plugin? PLUGIN=... takes one of: "), "{said}");
}

#[test]
fn a_busy_port_is_a_line_that_says_whose_it_is_and_how_to_set_another() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = &taken.local_addr().unwrap().port().to_string();
    let ports = ["--port", port, "--httpbin-port", port, "--admin-port", port, "--redis-port", port];
    let (code, said) = xtask(&[&["run", "hello-world"], ports.as_slice()].concat());
    assert_eq!(code, Some(1));
    let expected = [
        format!("port {port}, for the gateway, is in use; choose another with PORT=..."),
        format!("port {port}, for httpbin, is in use; choose another with HTTPBIN_PORT=..."),
        format!("port {port}, for Envoy's own pages, is in use; choose another with ADMIN_PORT=..."),
        format!("port {port}, for Valkey, is in use; choose another with REDIS_PORT=..."),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn run_serves_until_ctrl_c_and_leaves_nothing_behind() {
    // All bound at once, so that no two are the same.
    let free: Vec<TcpListener> = (0..4).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<String> = free.iter().map(|port| port.local_addr().unwrap().port().to_string()).collect();
    drop(free);
    let mut run = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["run", "mock-response", "--port", &ports[0], "--httpbin-port", &ports[1]])
        .args(["--admin-port", &ports[2], "--redis-port", &ports[3]])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(run.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line == "mock-response is ready, try:"), "it ended before");
    let curl = said.find(|line| line.contains("curl")).unwrap();
    assert!(curl.contains(&format!("localhost:{}", ports[0])), "{curl}");
    assert_eq!(http::get(format!("http://localhost:{}/get", ports[0])).unwrap().status, 200);

    Command::new("sh").args(["-c", &format!("kill -INT {}", run.id())]).status().unwrap();
    said.for_each(drop); // up to the end of the last program that writes there
    assert!(run.wait().unwrap().success());
    for port in ports {
        assert!(TcpStream::connect(format!("127.0.0.1:{port}")).is_err(), "{port}");
    }
}

#[test]
fn the_answers_in_every_readme_are_right() {
    let demo = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("demo").output().unwrap();
    let (out, err) = (String::from_utf8(demo.stdout).unwrap(), String::from_utf8(demo.stderr).unwrap());
    assert!(demo.status.success(), "{out}{err}");
    assert!(out.ends_with("every answer is as in the README\n"), "{out}");
}

/// The exit status of a task, and what it said about an error.
fn xtask(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).output();
    output.map_or_else(
        |error| (None, error.to_string()),
        |output| (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()),
    )
}
