// SPDX-License-Identifier: Apache-2.0
//! `demo`: the local gateway without a person. Sends the requests of a plugin's README and compares the answers.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use snapbox::{Assert, Data, IntoData};
use testkit::manifest::Spec;
use testkit::{Address, Envoy, Gateway, Httpbin, Valkey};

use crate::build;
use crate::catalogue::Plugin;
use crate::gateway::{self, Addresses};
use crate::readme::{self, Example, Request};

/// Sends what each README says and fails if an answer is another.
pub(crate) fn demo(plugins: &[Plugin]) -> Result<()> {
    let mut wrong = 0;
    for plugin in plugins {
        let examples = readme::examples(plugin)?;
        let requests: usize = examples.iter().map(|example| example.requests.len()).sum();
        ensure!(requests > 0, "{} has no example with a request", plugin.file("README.md").display());
        let module = build::module(plugin, Gateway::Envoy)?;
        for example in &examples {
            let valkey = Valkey::start(&[])?;
            let at = Addresses {
                admin: Address::local(0),
                gateway: Address::local(0),
                httpbin: Httpbin::shared()?,
                redis: valkey.address(),
            };
            let (title, spec) = configuration(plugin, example)?;
            println!("\n== {}, {title}\n", plugin.name);
            let config = gateway::config(plugin, &spec, Gateway::Envoy, &module, at)?;
            let envoy = Envoy::start(&config, 1, "info").map_err(|refused| gateway::refused(plugin, &refused))?;
            for request in &example.requests {
                wrong += usize::from(!right(request, envoy.port())?);
            }
        }
    }
    ensure!(wrong == 0, "\nanswers other than in the README: {wrong}");
    println!("\nevery answer is as in the README");
    Ok(())
}

fn configuration(plugin: &Plugin, example: &Example) -> Result<(String, Spec)> {
    let Some(yaml) = &example.yaml else {
        return Ok(("wasmplugin.yaml".to_owned(), plugin.spec()?));
    };
    let mut spec = Spec::from_example(yaml).with_context(|| plugin.file("README.md").display().to_string())?;
    spec.fail_strategy = plugin.spec()?.fail_strategy;
    Ok((format!("configuration\n\n{}", yaml.trim_end()), spec))
}

/// Sends a request, prints it with what came back, and compares that.
fn right(request: &Request, port: u16) -> Result<bool> {
    let (here, there) = (format!("localhost:{port}"), format!("localhost:{}", readme::PORT));
    let command = request.command.replace(&there, &here);
    let output = Command::new("sh").args(["-c", &command]).output().context("cannot run sh")?;
    let answer = String::from_utf8_lossy(&output.stdout).replace(&here, &there);
    println!("$ {}\n{}", request.command, answer.trim_end());
    if !output.status.success() {
        bail!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let compared = Assert::new().normalize_paths(false).try_eq(None, lines(&answer), lines(&request.answer));
    if let Err(difference) = &compared {
        println!("{difference}");
    }
    Ok(compared.is_ok())
}

/// Text whose lines all end, whether or not it came so.
fn lines(text: &str) -> Data {
    format!("{}\n", text.trim_end()).into_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_right_if_it_is_as_the_readme_says() {
        for (command, answer, is_right) in [
            ("printf hello", "hello\n", true),
            ("echo hello", "hello, world\n", false),
            ("echo hello, you", "hello, [..]\n", true),
            ("printf 'a\\r\\nb\\nc'", "a\n...\nc\n", true),
            ("echo hello", "", false),
            ("true", "", true),
            ("echo localhost:10000", "localhost:10000\n", true),
        ] {
            let request = Request { command: command.to_owned(), answer: answer.to_owned() };
            assert_eq!(right(&request, 4321).unwrap(), is_right, "{command}");
        }
    }

    #[test]
    fn a_request_goes_to_the_port_where_the_gateway_is() {
        let request = Request { command: "test localhost:10000 = localhost:4321".to_owned(), answer: String::new() };
        assert!(right(&request, 4321).unwrap());
    }

    #[test]
    fn a_command_that_fails_is_an_error() {
        let request = Request { command: "echo why >&2; false".to_owned(), answer: String::new() };
        assert!(right(&request, 4321).unwrap_err().to_string().ends_with("why"));
    }
}
