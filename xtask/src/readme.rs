// SPDX-License-Identifier: Apache-2.0
//! The examples in a plugin's README, which `run` and `compose` print and `demo` sends.
//!
//! They stand in the section `## Configuration Example`. A block marked `yaml` is a configuration: the plugin's own
//! keys, or a part of a WasmPlugin's `spec`. The blocks marked `console` after it hold requests for it: lines that
//! begin with `$ `, each followed by the answer, in which `[..]` stands for anything within a line and a line `...`
//! for any lines. Requests before the first configuration are for that of `wasmplugin.yaml`.

use std::fs;

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};

use crate::catalogue::Plugin;

/// The section with the examples.
const SECTION: &str = "Configuration Example";
/// The port of the requests in a README.
pub(crate) const PORT: u16 = 10000;

/// A configuration and what is asked of a plugin that has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Example {
    /// The configuration, `None` for that of `wasmplugin.yaml`.
    pub(crate) yaml: Option<String>,
    /// Requests, in their order.
    pub(crate) requests: Vec<Request>,
}

/// A command line and what it prints.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The command line.
    pub(crate) command: String,
    /// What it should print.
    pub(crate) answer: String,
}

/// The examples in the plugin's README.
pub(crate) fn examples(plugin: &Plugin) -> Result<Vec<Example>> {
    let file = plugin.file("README.md");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(parse(&text))
}

/// The requests that the README has for `wasmplugin.yaml`, or else one, to a gateway on this port: a line each.
pub(crate) fn invitation(plugin: &Plugin, port: u16) -> Result<String> {
    let gateway = format!("localhost:{port}");
    let examples = examples(plugin)?;
    let requests = examples.iter().filter(|example| example.yaml.is_none()).flat_map(|example| &example.requests);
    let mut commands: Vec<String> = requests
        .map(|request| format!("    {}", request.command.replace(&format!("localhost:{PORT}"), &gateway)))
        .collect();
    if commands.is_empty() {
        commands.push(format!("    curl -i {gateway}/get"));
    }
    Ok(commands.join("\n"))
}

fn parse(readme: &str) -> Vec<Example> {
    let mut examples = vec![Example::default()];
    for (kind, text) in blocks(readme) {
        match (kind.as_str(), examples.last_mut()) {
            ("yaml", _) => examples.push(Example { yaml: Some(text), requests: Vec::new() }),
            ("console", Some(example)) => example.requests.extend(requests(&text)),
            _ => {}
        }
    }
    // Nothing is asked of wasmplugin.yaml in a README that begins with a configuration.
    examples.retain(|example| example.yaml.is_some() || !example.requests.is_empty());
    examples
}

/// The fenced blocks of the section: what each is marked as, and its text.
fn blocks(readme: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let (mut in_title, mut in_section, mut in_block) = (false, false, false);
    for event in Parser::new(readme) {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H1 | HeadingLevel::H2, .. }) => {
                (in_title, in_section) = (true, false);
            }
            Event::End(TagEnd::Heading(_)) => in_title = false,
            Event::Text(text) if in_title => in_section |= text.as_ref() == SECTION,
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(kind))) if in_section => {
                in_block = true;
                blocks.push((kind.into_string(), String::new()));
            }
            Event::Text(text) if in_block => {
                if let Some((_, block)) = blocks.last_mut() {
                    block.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => in_block = false,
            _ => {}
        }
    }
    blocks
}

fn requests(block: &str) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            requests.push(Request { command: command.to_owned(), answer: String::new() });
        } else if let Some(request) = requests.last_mut() {
            request.answer.push_str(line);
            request.answer.push('\n');
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = r#"
# A plugin

```yaml
not: an example
```

## Configuration Example

```console
$ curl -i localhost:10000/get
HTTP/1.1 200 OK
...

hello
$ curl localhost:10000/silent
```

### Another

```yaml
mockEnable: true
```

Some text, and a block that is no example:

```json
{}
```

```console
$ curl localhost:10000/a
one
```

```console
$ curl localhost:10000/b
two
```

```yaml
{}
```

## Limits

```console
$ rm -rf /
```
"#;

    #[test]
    fn examples_are_the_yaml_and_console_blocks_of_the_section() {
        let request = |command: &str, answer: &str| Request { command: command.to_owned(), answer: answer.to_owned() };
        let expected = vec![
            Example {
                yaml: None,
                requests: vec![
                    request("curl -i localhost:10000/get", "HTTP/1.1 200 OK\n...\n\nhello\n"),
                    request("curl localhost:10000/silent", ""),
                ],
            },
            Example {
                yaml: Some("mockEnable: true\n".to_owned()),
                requests: vec![request("curl localhost:10000/a", "one\n"), request("curl localhost:10000/b", "two\n")],
            },
            Example { yaml: Some("{}\n".to_owned()), requests: vec![] },
        ];
        assert_eq!(parse(README), expected);
    }

    #[test]
    fn a_readme_that_begins_with_a_configuration_asks_nothing_of_the_manifest() {
        let examples = parse("## Configuration Example\n```yaml\na: 1\n```\n```console\n$ curl x\n```\n");
        assert_eq!(examples.len(), 1);
        assert_eq!(examples[0].yaml.as_deref(), Some("a: 1\n"));
    }
}
