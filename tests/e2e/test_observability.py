"""What a server tells of itself: metrics, log lines, traces."""
import json
import re

from e2e_harness import MODEL, ROOT, Server, run_program, wait_for
from e2e_pictures import RED_CIRCLE, encoded, question

HELLO = [{"role": "user", "content": "What is Pippin?"}]


def test_metrics_add_up():
    with Server() as server:
        whole = server.post({"messages": HELLO, "max_tokens": 5, "temperature": 0}).body["usage"]
        streamed = server.client().chat.completions.create(
            model=MODEL.name, messages=HELLO, stream=True, max_tokens=300, stream_options={"include_usage": True},
            extra_body={"ignore_eos": True})
        usage = list(streamed)[-1].usage
        pictured = server.ask(question("Describe the picture.", encoded(RED_CIRCLE)), max_tokens=4).usage
        assert server.post({"messages": 3}).status == 400
        wait_for(lambda: server.metric("http_requests_total", "chat/completions") == 4, "four requests")
        seen = {name: sum(values.values()) for name, values in server.metrics().items()}
        generated = whole["completion_tokens"] + usage.completion_tokens + pictured.completion_tokens
        cached = (whole["prompt_tokens_details"]["cached_tokens"] + usage.prompt_tokens_details.cached_tokens
                  + pictured.prompt_tokens_details.cached_tokens)
        assert seen["pippin:generation_tokens_total"] == generated
        assert seen["pippin:request_generation_tokens_sum"] == generated
        assert seen["pippin:request_prompt_tokens_sum"] == seen["pippin:prompt_tokens_total"]
        assert seen["pippin:prefix_cache_hits_total"] == cached > 0
        assert seen["pippin:time_to_first_token_seconds_count"] == 3
        assert seen["pippin:inter_token_latency_seconds_count"] == generated - 3
        assert seen["pippin:encoder_runs_total"] == 1
        assert seen["pippin:request_success_total"] == 3
        assert seen["pippin:steps_total"] == seen["pippin:step_host_seconds_count"] > 300
        assert seen["pippin:kv_pages"] == server.health()["pages"]["total"]
        # The parts of the time lie within the whole.
        parts = sum(seen[f"pippin:request_{part}_time_seconds_sum"] for part in ("queue", "prefill", "decode"))
        assert 0 < parts <= seen["pippin:e2e_request_latency_seconds_sum"]
        assert server.metric("http_requests_total", 'status="400"') == 1


def test_a_client_that_leaves_is_counted_as_such():
    with Server() as server:
        connection = server.connect()
        connection.request("POST", "/v1/chat/completions", json.dumps(
            {"messages": HELLO, "ignore_eos": True, "max_tokens": 3000, "stream": True}))
        connection.getresponse().read(200)
        connection.close()
        wait_for(lambda: server.metric("request_success_total", "abort") == 1, "the client that left")
        assert server.metric("request_success_total") == 1
        assert " status=200 complete=false " in server.logged()


def test_the_dashboard_and_the_documentation_know_every_metric(server: Server):
    server.text("What is Pippin?")
    exported = {re.sub("_(bucket|sum|count)$", "", name.removeprefix("pippin:")) for name in server.metrics()}
    dashboard = json.loads((ROOT / "tools/grafana/dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    shown = set(re.findall(r"pippin:([a-z_0-9]+)", " ".join(queries)))
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in shown} <= exported
    documented = set(re.findall(r"`([a-z_0-9]+)`", re.search(r"## Under(.*)## The log", (ROOT / "docs/metrics.md").read_text(), re.S)[1]))
    assert exported <= documented, exported - documented


def test_a_request_is_one_line_of_the_log():
    with Server("--log-format", "json") as server:
        reply = server.post({"messages": HELLO, "max_tokens": 5, "stream": False}, headers={"X-Request-Id": "ticket-17"})
        assert reply.headers["X-Request-Id"] == "ticket-17"
        made = server.post({"messages": 3}, headers={"X-Request-Id": "not\tsane \u00e9".encode("latin-1")}).headers["X-Request-Id"]
        assert made.startswith("req_")
        wait_for(lambda: made in server.logged(), "the second request's line")
        lines = [json.loads(line) for line in server.logged().splitlines()]
        assert all({"time", "level"} <= set(line) for line in lines)
        assert any("serving demo-model" in line.get("message", "") for line in lines)
        requests = {line["id"]: line for line in lines if line.get("event") == "request"}
        assert set(requests) == {"ticket-17", made}
        answered, refused = requests["ticket-17"], requests[made]
        assert answered["status"] == 200 and answered["model"] == MODEL.name and answered["finish_reason"] == "length"
        assert answered["completion_tokens"] == 5 and answered["prompt_tokens"] == reply.body["usage"]["prompt_tokens"]
        assert 0 < answered["ttft_ms"] <= answered["total_ms"]
        assert answered["client"].startswith("127.0.0.1:")
        assert refused["status"] == 400 and "completion_tokens" not in refused
        assert "What is" not in server.logged(), "prompts are not logged"


def test_the_log_is_for_people_by_default():
    with Server() as server:
        reply = server.post({"messages": HELLO, "max_tokens": 5}, headers={"X-Request-Id": "ticket-17"})
        assert reply.status == 200
        wait_for(lambda: "id=ticket-17" in server.logged(), "the request's line")
        assert re.search(r"info \[request\] id=ticket-17 client=127\.0\.0\.1:\d+ method=POST path=/v1/chat/completions status=200 ",
                         server.logged())
        assert re.search(r" queue_ms=[\d.]+ ttft_ms=[\d.]+ total_ms=[\d.]+\n", server.logged())


def test_a_trace_shows_steps_and_requests(tmp_path):
    file = tmp_path / "trace.json"
    with Server("--trace", str(file)) as server:
        server.text(question("Describe the picture.", encoded(RED_CIRCLE)), max_tokens=10)
        server.client().chat.completions.create(model=MODEL.name, messages=HELLO, max_tokens=20, extra_body={"ignore_eos": True})
        server.stop()
    events = json.loads(file.read_text())
    spans = [event for event in events if event["ph"] == "X"]
    steps = [span for span in spans if span["name"] == "step"]
    assert sum(step["args"]["decode_rows"] for step in steps) == 9 + 19
    assert sum(step["args"]["pictures"] for step in steps) >= 1
    for first, second in zip(steps, steps[1:]):
        assert first["ts"] + first["dur"] <= second["ts"] + 0.01
    for span in spans:
        assert any(step["ts"] - 0.01 <= span["ts"] and span["ts"] + span["dur"] <= step["ts"] + step["dur"] + 0.01
                   for step in steps), span
    requests = [event for event in events if event["ph"] == "b" and event["name"] == "request"]
    assert sorted(request["args"]["completion_tokens"] for request in requests) == [10, 20]
    for request in requests:
        own = [event for event in events if event.get("id") == request["id"] and event["ph"] in "be"]
        assert [event["name"] for event in own if event["ph"] == "b"] == ["request", "prepare", "queued", "prefill", "decode"]
        end = next(event["ts"] for event in own if event["ph"] == "e" and event["name"] == "request")
        assert all(request["ts"] <= event["ts"] <= end for event in own)


def test_a_trace_that_cannot_be_written_is_named():
    result = run_program("serve", MODEL, "--trace", "/no/such/folder/trace.json", "--port", "0")
    assert result.returncode == 1 and "/no/such/folder/trace.json" in result.stderr
