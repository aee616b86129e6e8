"""What may be asked. pandas and NumPy load many of their modules only when a function first needs them."""

import numpy as np
import pandas as pd

ASKED = {}


def question(function):
    ASKED[function.__name__] = function
    return function


def sales():
    return pd.read_csv("data/sales.csv", parse_dates=["day"])


def line(values):
    return " ".join(str(value) for value in values)


# What suite A asks.


@question
def rows():
    return len(sales())


@question
def turnover():
    table = sales()
    return round(float((table["count"] * table["price"]).sum()), 2)


@question
def totals():
    return line(sales().groupby("goods")["count"].sum())


@question
def best():
    return sales().sort_values("count", ascending=False).iloc[0]["goods"]


@question
def mean():
    return round(float(np.mean(sales()["count"])), 3)


@question
def described():
    return sales()["count"].describe()["max"]


# What suite B asks.


@question
def weekly():
    return line(sales().set_index("day")["count"].resample("W").sum())


@question
def zoned():
    # Clocks go forward on 31 March.
    hours = pd.date_range("2024-03-30", periods=3, freq="D", tz="Europe/Vienna")
    return line(hours.tz_convert("UTC").hour)


@question
def elsewhere():
    return pd.Timestamp("2024-07-01 12:00", tz="Asia/Kathmandu").tz_convert("America/New_York").isoformat()


@question
def newer():
    from zoneinfo import ZoneInfo

    return pd.Timestamp("2024-07-01 12:00", tz=ZoneInfo("Africa/Cairo")).tz_convert("UTC").hour


@question
def merged():
    shelves = pd.read_csv("data/shelves.csv")
    return line(sales().merge(shelves, on="goods").groupby("shelf")["count"].sum())


@question
def stock():
    return int(pd.read_json("data/stock.json", typ="series")["apples"])


@question
def pivoted():
    table = sales().pivot_table(index="day", columns="goods", values="count", aggfunc="sum", fill_value=0)
    return line(table.loc["2024-03-30"])


@question
def rolling():
    return line(sales()["count"].rolling(3).mean().dropna().round(2))


@question
def weighted():
    return round(float(sales()["count"].ewm(span=3).mean().iloc[-1]), 3)


@question
def binned():
    return line(pd.cut(sales()["count"], [0, 5, 10, 100]).value_counts(sort=False))


@question
def interpolated():
    return line(pd.Series([1, np.nan, 3]).interpolate())


@question
def categories():
    return line(sales()["goods"].astype("category").cat.categories)


@question
def spelled():
    return line(sales()["goods"].str.extract(r"^(.)", expand=False).str.upper().unique())


@question
def database():
    import sqlite3

    with sqlite3.connect(":memory:") as connection:
        sales().to_sql("sales", connection, index=False)
        return int(pd.read_sql("SELECT sum(count) AS n FROM sales", connection)["n"][0])


@question
def written():
    return sales().head(1).to_csv(index=False).splitlines()[1]


@question
def page():
    return sales().head(1).to_html(index=False).count("<td>")


@question
def pickled():
    import io

    file = io.BytesIO()
    sales().to_pickle(file, compression="xz")
    file.seek(0)
    return len(pd.read_pickle(file, compression="xz"))


@question
def evaluated():
    return int(sales().query("count > 5 and goods == 'apples'")["count"].sum())


@question
def holidays():
    from pandas.tseries.holiday import USFederalHolidayCalendar

    return line(USFederalHolidayCalendar().holidays("2024-07-01", "2024-07-31").day)


@question
def solved():
    return line(np.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 8.0]))


@question
def decomposed():
    return line(np.linalg.svd(np.diag([3.0, 4.0]), compute_uv=False))


@question
def transformed():
    return line(np.abs(np.fft.fft([1, 0, 1, 0])).astype(int))


@question
def drawn():
    return np.random.default_rng(7).integers(0, 100, 3).shape[0]


@question
def polynomial():
    from numpy.polynomial import Polynomial

    return line(Polynomial.fromroots([1, 2]).coef)


@question
def histogram():
    return line(np.histogram([1, 2, 2, 3], bins=3)[0])


@question
def masked():
    return float(np.ma.masked_array([1, 2, 30], mask=[0, 0, 1]).mean())


@question
def mapped():
    import tempfile

    with tempfile.NamedTemporaryFile() as file:
        array = np.memmap(file.name, dtype="int32", mode="w+", shape=4)
        array[:] = 2
        return int(array.sum())


@question
def fetched():
    import ctypes

    vector = np.arange(3, dtype=np.int32)
    return vector.ctypes.data_as(ctypes.POINTER(ctypes.c_int))[2]
