"""A stand-in for the APIs of model providers: OpenAI, Anthropic and Gemini. `model.py PORT_FILE`.

An agent that offers a shell as a tool is asked to run `echo hi` once, and one that offers the weather is asked for it.
Any other request gets a short text. A
conversation with the word FAIL in it gets an error instead of its first answer.
"""

import http.server
import json
import sys

ADDRESS = "ana@example.com"


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({"data": [], "models": []})

    def do_POST(self):
        asked = json.loads(self.body() or b"{}")
        path = self.path.partition("?")[0]
        if path.endswith("/chat/completions"):
            self.chat_completions(asked)
        elif path.endswith("/responses"):
            self.responses_api(asked)
        elif path.endswith("/messages"):
            self.messages(asked)
        elif "enerateContent" in path:
            self.generate_content(asked, "stream" in path)
        else:
            self.answer({})

    def body(self):
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while length := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, value, status=200):
        self.send("application/json", json.dumps(value), status)

    def stream(self, events, last=""):
        named = (f"event: {event['type']}\n" if "type" in event else "" for event in events)
        lines = (f"{name}data: {json.dumps(event)}\n\n" for name, event in zip(named, events))
        self.send("text/event-stream", "".join(lines) + last)

    def send(self, content_type, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def chat_completions(self, asked):
        if "FAIL" in json.dumps(asked["messages"]):
            error = {"message": f"too many requests of {ADDRESS}", "type": "rate_limit_error", "code": "rate_limit_exceeded"}
            return self.answer({"error": error}, 429)
        usage = {
            "prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29,
            "prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 3},
        }
        head = {"id": "c1", "created": 1, "model": "gpt-4o-2024-08-06"}
        if not asked.get("stream"):
            message, reason = {"role": "assistant", "content": "Hello"}, "stop"
            tools = [tool["function"]["name"] for tool in asked.get("tools", [])]
            if "weather" in tools and all(said["role"] != "tool" for said in asked["messages"]):
                function = {"name": "weather", "arguments": json.dumps({"city": "Paris"})}
                calls = [{"id": "call_1", "type": "function", "function": function}]
                message, reason = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return self.answer({**head, "object": "chat.completion", "choices": [choice], "usage": usage})
        head["object"] = "chat.completion.chunk"
        delta = {"role": "assistant", "content": "Hello"}
        self.stream(
            [
                {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
                {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
                {**head, "choices": [], "usage": usage},
            ],
            "data: [DONE]\n\n",
        )

    def responses_api(self, asked):
        tools = [tool.get("name") for tool in asked.get("tools", [])]
        if "exec_command" in tools and "function_call_output" not in json.dumps(asked["input"]):
            item = {
                "type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed",
                "name": "exec_command", "arguments": json.dumps({"cmd": "echo hi"}),
            }
        else:
            content = [{"type": "output_text", "text": "Hello", "annotations": []}]
            item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
        response = {"id": "resp_1", "object": "response", "model": asked.get("model"), "status": "in_progress", "output": []}
        usage = {
            "input_tokens": 30, "input_tokens_details": {"cached_tokens": 10},
            "output_tokens": 12, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 42,
        }
        done = {**response, "status": "completed", "output": [item], "usage": usage}
        self.stream([
            {"type": "response.created", "response": response},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": done},
        ])

    def messages(self, asked):
        tools = [tool.get("name") for tool in asked.get("tools", [])]
        said = json.dumps(asked["messages"])
        if "FAIL" in said and tools:
            error = {"type": "invalid_request_error", "message": f"not allowed for {ADDRESS}"}
            return self.answer({"type": "error", "error": error}, 400)
        usage = {"input_tokens": 25, "output_tokens": 1, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 3}
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": asked.get("model"), "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": usage,
        }
        if not asked.get("stream"):
            return self.answer({**message, "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"})
        if "Bash" in tools and '"tool_result"' not in said:
            block = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}
            arguments = json.dumps({"command": "echo hi", "description": "say hi"})
            delta, stop = {"type": "input_json_delta", "partial_json": arguments}, "tool_use"
        else:
            block = {"type": "text", "text": ""}
            delta, stop = {"type": "text_delta", "text": "Hello"}, "end_turn"
        stopped = {"stop_reason": stop, "stop_sequence": None}
        self.stream([
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": stopped, "usage": {"output_tokens": 15}},
            {"type": "message_stop"},
        ])

    def generate_content(self, asked, is_stream):
        tools = [of["name"] for tool in asked.get("tools", []) for of in tool.get("functionDeclarations", [])]
        if "run_shell_command" in tools and "functionResponse" not in json.dumps(asked["contents"]):
            part = {"functionCall": {"name": "run_shell_command", "args": {"command": "echo hi"}}}
        else:
            part = {"text": "Hello"}
        usage = {
            "promptTokenCount": 40, "candidatesTokenCount": 9, "totalTokenCount": 55,
            "cachedContentTokenCount": 8, "thoughtsTokenCount": 6,
        }
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        answer = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-pro"}
        self.stream([answer]) if is_stream else self.answer(answer)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
with open(sys.argv[1], "w") as file:
    file.write(f"{server.server_port}\n")
server.serve_forever()
