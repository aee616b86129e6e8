"""The monthly report."""

import csv
import decimal
import io


def as_csv(goods):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "value"])
    for item in goods:
        value = decimal.Decimal(item["price"] * item["count"]) / 100
        writer.writerow([item["name"], f"{value:.2f}"])
    return out.getvalue()
