"""echo, in which n2 does something that the protocol forbids: bad.py WHAT. At the 20th request, or
with boot, exit-at-init and refuse-init at its start."""

import json
import sys

WHAT, asked, node = sys.argv[1], 0, ""
for line in sys.stdin:
    message = json.loads(line)
    body = message["body"]
    answer = {"type": f"{body['type']}_ok", "in_reply_to": body["msg_id"]}
    if body["type"] == "init":
        node = body["node_id"]
        if WHAT == "boot":
            print("starting up", flush=True)
        if WHAT == "exit-at-init":
            sys.exit("no luck today")
        if WHAT == "refuse-init":
            answer["type"] = "error"
    else:
        asked += 1
        answer["echo"] = body["echo"]
    out = {"src": node, "dest": message["src"], "body": answer}
    if node == "n2" and asked == 20:
        match WHAT:
            case "garbage":
                print("hello, world", flush=True)
            case "bytes":
                sys.stdout.buffer.write(b"\xff\xfe\n")
                sys.stdout.flush()
            case "list":
                print("[1, 2]", flush=True)
            case "src":
                out["src"] = "n1"
            case "dest":
                out["dest"] = "n9"
            case "body":
                del out["body"]
            case "huge":
                print('{"x": "' + "x" * (20 << 20), flush=True)
            case "field":
                del answer["echo"]
            case "type":
                answer["type"] = "pong"
            case "exit":
                sys.exit("enough")
    print(json.dumps(out), flush=True)
