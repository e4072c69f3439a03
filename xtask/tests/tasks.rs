// SPDX-License-Identifier: Apache-2.0
//! The tasks as a person meets them: what they say, and how they end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::{envoy, http, workspace};

#[test]
fn make_alone_prints_every_target() {
    let make = Command::new("make").current_dir(workspace()).env_remove("MAKEFLAGS").output().unwrap();
    let help = String::from_utf8(make.stdout).unwrap();
    let makefile = fs::read_to_string(workspace().join("Makefile")).unwrap();
    let targets = makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).unwrap();
    for target in targets.split(' ').filter(|target| *target != "wasm-target") {
        assert!(help.lines().any(|line| line.starts_with(&format!("make {target} "))), "{target}:\n{help}");
    }
}

#[test]
fn an_unknown_plugin_is_one_line_with_the_names_there_are() {
    for task in ["build", "run", "demo", "compose"] {
        let (code, said) = xtask(&[task, "no-such-plugin"]);
        assert_eq!(code, Some(1), "{task}");
        assert!(said.starts_with("no plugin \"no-such-plugin\"; there are: "), "{said}");
        assert!(said.contains("hello-world, ") && said.contains("mock-response"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn run_and_compose_without_a_plugin_say_which_there_are() {
    for task in ["run", "compose"] {
        let (code, said) = xtask(&[task]);
        assert_eq!(code, Some(1), "{task}");
        assert!(said.starts_with("which plugin? PLUGIN=... takes one of: "), "{said}");
    }
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

#[test]
fn compose_prepares_what_the_compose_file_runs() {
    let ports = ["--port", "8080", "--redis-port", "7000"];
    let compose =
        Command::new(env!("CARGO_BIN_EXE_xtask")).args(["compose", "http-call"]).args(ports).output().unwrap();
    let (out, err) = (String::from_utf8(compose.stdout).unwrap(), String::from_utf8(compose.stderr).unwrap());
    assert!(compose.status.success(), "{out}{err}");
    assert!(out.contains(" PORT=8080 REDIS_PORT=7000 docker compose -f docker/docker-compose.yaml up "), "{out}");
    assert!(out.contains("http://localhost:8080/") && !out.contains(":10000"), "{out}");

    let file = workspace().join("docker/docker-compose.yaml");
    let services = &yaml(&file)["services"];
    for (service, image, ports) in [
        (
            "gateway",
            "higress-registry.cn-hangzhou.cr.aliyuncs.com/higress/gateway:v2.1.5",
            json!(["127.0.0.1:${PORT:-10000}:10000", "127.0.0.1:${ADMIN_PORT:-9901}:9901"]),
        ),
        ("httpbin", "kennethreitz/httpbin", json!(["127.0.0.1:${HTTPBIN_PORT:-12345}:80"])),
        ("redis", "redis:7.4-alpine", json!(["127.0.0.1:${REDIS_PORT:-6379}:6379"])),
    ] {
        assert_eq!((&services[service]["image"], &services[service]["ports"]), (&json!(image), &ports), "{service}");
    }
    let mounted = |target: &str| {
        let volumes = services["gateway"]["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|volume| volume["target"] == target).unwrap();
        assert_eq!(volume["read_only"], true, "{target}");
        file.parent().unwrap().join(volume["source"].as_str().unwrap()).canonicalize().unwrap()
    };

    // In the container the gateway is reached, and finds the others, under the compose file's names and ports.
    let mut config = yaml(&mounted("/etc/envoy/envoy.yaml"));
    let at = |address: &str| {
        let address = &config.pointer(&format!("{address}/address/socket_address")).unwrap();
        format!("{}:{}", address["address"].as_str().unwrap(), address["port_value"])
    };
    assert_eq!(at("/admin"), "0.0.0.0:9901");
    assert_eq!(at("/static_resources/listeners/0"), "0.0.0.0:10000");
    let upstream = "/static_resources/clusters/0/load_assignment/endpoints/0/lb_endpoints/0/endpoint";
    assert_eq!(at(upstream), "httpbin:80");

    // The same module and configuration, but on this machine, for the judgement of an Envoy that is not Higress's.
    let filter = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0";
    let module = format!("{filter}/typed_config/config/vm_config/code/local/filename");
    let module = config.pointer_mut(&module).unwrap();
    *module = mounted(module.as_str().unwrap()).to_str().into();
    let on_this_machine = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compose.json");
    fs::write(&on_this_machine, config.to_string()).unwrap();
    envoy::validate(&on_this_machine).unwrap();
}

fn yaml(file: &Path) -> Value {
    let text = fs::read_to_string(file).unwrap_or_default();
    serde_saphyr::from_str(&text).unwrap_or_default()
}

/// The exit status of a task, and what it said about an error.
fn xtask(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).output();
    output.map_or_else(
        |error| (None, error.to_string()),
        |output| (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()),
    )
}
