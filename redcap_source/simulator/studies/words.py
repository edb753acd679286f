"""Invented names, places and phrases for the studies."""

from __future__ import annotations

FIRST_NAMES = (
    "Ada", "Bram", "Chidi", "Dora", "Elif", "Femke", "Goran", "Hana", "Ivo", "Jória", "Kwame", "Lotte", "Mirek",
    "Noor", "Óscar", "Priya", "Quirin", "Rosa", "Søren", "Tariq", "Ulla", "Vera", "Wim", "Xenia", "Yusuf", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Appelboom", "de Brug", "Castellane", "Duivenvoorde", "Ébène", "Fennimore", "Grünwald", "Hollowell", "Iskander",
    "Jansonius", "Kestrel", "Lindqvist", "Montague", "Nakamori", "O'Malley", "Pereira", "Quill", "Rosenthal",
    "van Stee", "Tamblyn", "Underhill", "Vasquez", "Wetherby", "Yamagata", "Zielinski",
)  # fmt: skip
STREETS = ("Birch Lane", "Canal Street", "Dune Road", "Elm Row", "Ferry Quay", "Garden Walk", "Harbour View")
TOWNS = ("Little Wobbling", "Nieuwbrug", "Port Sorrow", "Sankt Alban", "Upper Fennel", "Zandwijk")
DRUGS = ("Amlodrine", "Betalor", "Cardivex", "Dosaprin", "Ezetafen", "Furolide", "Glucomet")
TERMS = ("Headache", "Fever", "Fatigue", "Sore arm", "Nausea", "Dizziness", "Rash", "Cough")
REMARKS = (
    "No remarks.",
    "Seen together with partner; all questions answered.",
    'Participant said "never felt better", and left early.',
    "First line\nsecond line, with a comma\nthird line",
    "Température prise à domicile: 37,2 °C",
    "Приём пищи до визита",
    "Weight > last visit & < 5% change; see protocol §4.2/b",
    "血压正常",
    "Tabs\tand 'quotes' and a back\\slash",
    "Called back on Tuesday.",
)
