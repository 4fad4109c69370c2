"""A client as most are: the official one, which tries again when it is told to. Asks at least once, until its standard input ends, then prints
as JSON how many answers it had, what failed for good, and the longest time that an answer took.

    steady_client.py URL KEY MODEL
"""

import json
import sys
import threading
import time

import openai


PAUSE_SECONDS = 0.05


def main(url, key, model):
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=20, timeout=60)
    answers, failures, longest = 0, [], 0.0
    while True:
        start = time.monotonic()
        try:
            done = client.completions.create(model=model, prompt="The capital of France is", max_tokens=4, temperature=0)
            if "Paris" in done.choices[0].text:
                answers += 1
            else:
                failures.append(done.choices[0].text)
        except openai.OpenAIError as error:
            failures.append(str(error))
        longest = max(longest, time.monotonic() - start)
        if over.wait(PAUSE_SECONDS):
            break
    print(json.dumps({"answers": answers, "failures": failures, "longest_seconds": longest}))


main(*sys.argv[1:])
