"""Bad files: refused with their place, nothing that runs is lost, also across a restart."""

import json
import os

from .kit import CLUSTER, ENDPOINT, LISTENER, ROUTE, AdsClient, Control, check, equal, run, test, wait_for
from .pushes import ORDERS, WEB_ROUTE, full_client, settled, weights

BAD = {
    "not YAML": ("key: [", "web-route.yaml:"),
    "a wrong field": ("apiVersion: v1\nkind: Service\nmetadata:\n  name: x\n  namespace: shop\nspec:\n  prots: []\n",
                      "web-route.yaml:7: spec"),
    "an unknown backend": ("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: web\n"
                           "  namespace: shop\nspec:\n  parentRefs:\n    - kind: Service\n      group: \"\"\n"
                           "      name: web\n  rules:\n    - backendRefs:\n        - name: nowhere\n          port: 80\n",
                           "web-route.yaml:13: spec.rules[0].backendRefs[0]"),
}


@test
def a_bad_file_is_refused_with_its_place_and_changes_nothing():
    with Control() as control:
        good = control.read("web-route.yaml")
        with full_client(control, control.identity("client")) as client:
            settled(control)
            for name, (text, place) in BAD.items():
                before = len(client.responses)
                control.write("web-route.yaml", text)
                ready = wait_for(lambda: control.get("/ready") if "refused" in control.get("/ready") else None,
                                 what=f"/ready tells of {name}")
                check(place in ready, f"{name}: /ready does not say {place!r}: {ready}")
                check(f"refused: {place}" in control.status_text(), f"{name}: {control.status_text()}")
                equal(control.status()["refused"], ["web-route.yaml"], f"{name}: what is refused")
                check(client.quiet(0.3) and len(client.responses) == before, f"{name}: something was sent")
                equal(weights(client), [90, 10], f"{name}: the weights in force")
                control.write("web-route.yaml", good)
                wait_for(lambda: "refused" not in control.get("/ready"), what="the complaint is gone")
            equal(control.status()["revision"], 1, "the revision after all this")


@test
def a_file_that_has_nothing_to_do_with_a_bad_one_still_changes():
    with Control() as control:
        with full_client(control, control.identity("client")) as client:
            settled(control)
            control.write("broken.yaml", "kind: Nothing\n")
            wait_for(lambda: "broken.yaml" in control.get("/ready"), what="the file is refused")
            control.set_weights(55, 45)
            client.wait(lambda c: weights(c) == [55, 45], "the other file's change is pushed")
            check("broken.yaml" in control.get("/ready"), "the complaint is lost")
            os.remove(os.path.join(control.config, "broken.yaml"))
            wait_for(lambda: "broken.yaml" not in control.get("/ready"), what="the complaint goes with the file")


@test
def a_restart_with_a_bad_file_serves_the_last_good_state():
    with Control() as control:
        identity = control.identity("client")
        with full_client(control, identity) as client:
            control.set_weights(75, 25)
            client.wait(lambda c: weights(c) == [75, 25], "the change is pushed")
            settled(control)
            had = {t: {n: v for n, (v, _) in client.have(t).items()} for t in (CLUSTER, ENDPOINT, LISTENER, ROUTE)}
        control.stop()
        control.write("web-route.yaml", "spec: [\n")
        os.chmod(os.path.join(control.config, "orders.yaml"), 0)
        os.rename(os.path.join(control.config, "orders.yaml"), os.path.join(control.config, "orders.txt"))
        control.write("orders.yaml", control.read("orders.txt").replace("port: 50051", "port: fifty"))
        control.start()
        equal(control.status()["refused"], ["orders.yaml", "web-route.yaml"], "what is refused")
        equal(control.status()["revision"], 2, "the revision in force")
        with AdsClient(control, identity) as client:
            client.subscribe(CLUSTER, initial=had[CLUSTER])
            client.subscribe(ENDPOINT, [ORDERS], initial={ORDERS: had[ENDPOINT][ORDERS]})
            client.subscribe(LISTENER, initial=had[LISTENER])
            client.subscribe(ROUTE, [WEB_ROUTE], initial=had[ROUTE])
            settled(control)
            check(client.quiet(), "something was sent or withdrawn")
            equal(client.responses, [], "what the client was sent")


@test
def a_lost_directory_loses_nothing():
    with Control() as control:
        with full_client(control, control.identity("client")) as client:
            settled(control)
            before = len(client.responses)
            os.rename(control.config, control.config + ".away")
            wait_for(lambda: "refused" in control.get("/ready"), what="/ready tells that the directory is gone")
            check(client.quiet(0.3) and len(client.responses) == before, "something was withdrawn")
            os.rename(control.config + ".away", control.config)
            wait_for(lambda: "refused" not in control.get("/ready"), what="the directory is read again")
            control.set_weights(20, 80)
            client.wait(lambda c: weights(c) == [20, 80], "changes are seen again")


@test
def revisions_are_numbered_and_say_what_changed():
    with Control() as control:
        control.set_weights(50, 50)
        wait_for(lambda: control.status()["revision"] == 2, what="revision 2 is in force")
        newest = json.loads(control.get("/revisions"))["revisions"][0]
        equal((newest["number"], newest["note"]), (2, "changed web-route.yaml"), "the newest revision")
        check(newest["author"] and newest["time"], f"author and time: {newest}")


@test
def what_cannot_be_started_says_why():
    with Control() as control:
        for args, want in (
                (["--config", control.config, "--state", control.state, "--listen", "nowhere"], "--listen nowhere"),
                (["--config", "/nonexistent", "--state", control.dir + "/other"], "/nonexistent"),
                (["--config", control.config, "--state", control.dir + "/third", "--listen", control.address, "--admin",
                  "127.0.0.1:0"], "cannot listen"),
                (["--config", control.config, "--state", control.state, "--trust-domain", "other"], "trust domain other"),
                (["--config", control.config, "--certificate-lifetime", "1s"], "--certificate-lifetime")):
            done = run("control", *args)
            equal(done.returncode, 1, f"the exit status of {args}")
            check(want in done.stderr, f"{args}: {done.stderr}")
        done = run("status", "--admin", "127.0.0.1:1")
        equal(done.returncode, 1, "the exit status of a status that nobody answers")
        check("127.0.0.1:1" in done.stderr, done.stderr)
