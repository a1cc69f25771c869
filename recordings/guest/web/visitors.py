"""Prints a curl configuration: what the visitors of one copy ask for. The well known pages are asked of every copy, in an
order of its own; some rare ones only of this copy."""
import random
import sys

rng = random.Random(int(sys.argv[1]))
popular = range(1, 25)

paths = ["/", "/search?q=sign", "/login?user=u%d" % rng.randrange(1000), "/photo/1?as=png", "/photo/2?as=webp"]
paths += [f"/source/{language}" for language in ("python", "java", "json", "bash")]
paths += [f"/item/{number}" for number in popular]
paths += [f"/photo/{number}" for number in popular]
paths += [f"/static/part{number}.js" for number in range(1, 31)] + ["/static/shop.css"]
for number in rng.sample(range(25, 241), 4):
    paths += [f"/item/{number}", f"/photo/{number}"]
paths += [f"/static/part{rng.randrange(31, 41)}.js", "/search?q=" + rng.choice(["letter", "vowel", "digit", "mark"])]
rng.shuffle(paths)
for path in paths:
    print(f'url = "http://localhost{path}"')
