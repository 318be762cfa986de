"""Charts of a workbook's tables, in the one style that every report has. No domain's words here.

openpyxl describes its chart elements with descriptors that no type checker can follow: inside this
module they are `Any`, and only whole charts leave it.
"""

from typing import Any

from openpyxl.chart import BarChart, LineChart, Reference
from openpyxl.chart.label import DataLabelList
from openpyxl.chart.layout import Layout, ManualLayout
from openpyxl.chart.shapes import GraphicalProperties
from openpyxl.chart.text import RichText, Text
from openpyxl.chart.title import Title
from openpyxl.drawing.line import LineProperties
from openpyxl.drawing.spreadsheet_drawing import AnchorMarker, TwoCellAnchor
from openpyxl.drawing.text import (
    CharacterProperties,
    Paragraph,
    ParagraphProperties,
    RegularTextRun,
)
from openpyxl.drawing.text import Font as DrawingFont
from openpyxl.worksheet.cell_range import CellRange
from openpyxl.worksheet.worksheet import Worksheet

from batch_platform.gateways.workbook import FONT, INK, MUTED, RULE, Table

BAR = "3B6EA5"
LINE = "D97706"

_EMU_PER_CM = 360_000
_POINT = 100  # DrawingML gives font sizes in hundredths of a point


def bar_chart(
    table: Table,
    title: str,
    labels: int,
    values: int,
    *,
    most: int,
    number_format: str = "#,##0",
    is_from_zero: bool = True,
) -> BarChart:
    """Make horizontal bars of a table's first rows, longest on top as the table has them.

    Args:
        table: Where the figures stand.
        title: Above the chart.
        labels: Column of the bars' names, from 1.
        values: Column of their lengths, from 1.
        most: Bars at most.
        number_format: Of the value that stands at each bar.
        is_from_zero: Whether no value is below zero; names then stand at the bars' feet.
    """
    last_row = min(table.last_row, table.header_row + most)
    chart: Any = BarChart()
    chart.type = "bar"
    chart.gapWidth = 45
    _add_series(chart, table, values, last_row)
    chart.set_categories(
        Reference(table.sheet, min_col=labels, min_row=table.header_row + 1, max_row=last_row)
    )
    _style(chart, title)
    chart.legend = None
    chart.x_axis.scaling.orientation = "maxMin"
    if is_from_zero:
        chart.y_axis.scaling.min = 0
    else:
        chart.x_axis.tickLblPos = "low"
    chart.y_axis.delete = True  # each bar says its value
    chart.y_axis.majorGridlines = None
    series = chart.series[0]
    _fill(series, BAR)
    series.dLbls = _value_labels(number_format)
    return chart


def day_chart(table: Table, title: str, days: int, columns: int, line: int) -> BarChart:
    """Make columns and a line over a table's days.

    Args:
        table: Where the figures stand.
        title: Above the chart.
        days: Column of the dates, from 1.
        columns: Column of the heights, from 1; its title is the legend's.
        line: Column of the line, from 1; its title is the legend's.
    """
    chart: Any = BarChart()
    over: Any = LineChart()
    chart.type = "col"
    chart.gapWidth = 60
    for part, column in ((chart, columns), (over, line)):
        _add_series(part, table, column, table.last_row)
        part.set_categories(
            Reference(
                table.sheet, min_col=days, min_row=table.header_row + 1, max_row=table.last_row
            )
        )
    _style(chart, title)
    chart.legend.position = "b"
    chart.legend.txPr = _text(8, MUTED)
    chart.x_axis.number_format = "m/d"
    chart.y_axis.number_format = "#,##0"
    chart.y_axis.scaling.min = 0
    chart.y_axis.majorGridlines.spPr = _outline(RULE)
    _fill(chart.series[0], BAR)
    series = over.series[0]
    series.smooth = False
    series.graphicalProperties = GraphicalProperties(ln=LineProperties(solidFill=LINE, w=22225))
    series.marker.symbol = "circle"
    series.marker.size = 6
    series.marker.graphicalProperties = GraphicalProperties(
        solidFill=LINE, ln=LineProperties(solidFill=LINE)
    )
    chart += over  # openpyxl's word for drawing one over the other
    return chart


def place_chart(sheet: Worksheet, chart: Any, area: str, *, indent_cm: float = 0) -> None:
    """Stretch a chart over cells, such as `G9:M22`, whatever their size is where it is opened."""
    cells = CellRange(area)
    chart.anchor = TwoCellAnchor(
        _from=AnchorMarker(
            col=cells.min_col - 1, colOff=round(indent_cm * _EMU_PER_CM), row=cells.min_row - 1
        ),
        to=AnchorMarker(col=cells.max_col, row=cells.max_row),
    )
    sheet.add_chart(chart)


def _add_series(chart: Any, table: Table, column: int, last_row: int) -> None:
    values = Reference(table.sheet, min_col=column, min_row=table.header_row, max_row=last_row)
    chart.add_data(values, titles_from_data=True)


def _style(chart: Any, title: str) -> None:
    run = RegularTextRun(rPr=_characters(11, INK, bold=True), t=title)
    chart.title = Title(
        tx=Text(rich=RichText(p=[Paragraph(r=[run])])),
        overlay=False,
        layout=Layout(manualLayout=ManualLayout(xMode="edge", yMode="edge", x=0.02, y=0.02)),
    )
    for axis in (chart.x_axis, chart.y_axis):
        axis.delete = False
        axis.txPr = _text(9, INK)
        axis.majorTickMark = "none"
        axis.graphicalProperties = _outline(RULE)
    chart.graphical_properties = _outline(RULE)
    chart.roundedCorners = False


def _fill(series: Any, colour: str) -> None:
    series.graphicalProperties = GraphicalProperties(
        solidFill=colour, ln=LineProperties(noFill=True)
    )


def _value_labels(number_format: str) -> DataLabelList:
    labels = DataLabelList(numFmt=number_format, txPr=_text(9, INK))
    labels.showVal = True
    labels.showSerName = labels.showCatName = labels.showLegendKey = labels.showPercent = False
    return labels


def _outline(colour: str) -> GraphicalProperties:
    return GraphicalProperties(ln=LineProperties(solidFill=colour, w=9525))


def _text(points: int, colour: str) -> RichText:
    properties = ParagraphProperties(defRPr=_characters(points, colour))
    return RichText(p=[Paragraph(pPr=properties, endParaRPr=_characters(points, colour))])


def _characters(points: int, colour: str, *, bold: bool = False) -> CharacterProperties:
    font = DrawingFont(typeface=FONT)
    return CharacterProperties(sz=points * _POINT, b=bold, solidFill=colour, latin=font, ea=font)
